"""The environment of a task process: exactly what is listed here, never what else the agent has.

Precedence: data plane base < container.env < RunSpec.envs < identity. Identity cannot be overridden, else a task could
act as another run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from signalbox_dataplane.executor import Attempt

PASSED_ON = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "TMPDIR", "TZ", "USER",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
PASSED_ON_FOR_S3 = (
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE",
    "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)  # fmt: skip
TUNING = {
    # the SDK's own limits (100 enqueues a second, 1000 children in flight) would hide the control plane's
    "_F_MAX_QPS": "10000",
    "_F_P_CNC": "20000",
    # fsspec's local file system does not make parent directories, and the SDK never asks it to
    "FSSPEC_FILE_AUTO_MKDIR": "true",
    "PYTHONUNBUFFERED": "1",
    "_U_USE_ACTIONS": "1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPlatform:
    """What all tasks of this data plane share."""

    control_plane: str
    runtime_bin: Path | None
    storage: str
    s3_endpoint_url: str | None


def task_environment(attempt: Attempt, platform: TaskPlatform, agent: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment of one attempt; `agent` is what the agent itself runs with."""
    container = attempt.spec.task_template.container
    return {
        **_base(platform, agent),
        **{pair.key: pair.value for pair in container.env},
        **{pair.key: pair.value for pair in attempt.run_spec.envs.values},
        **_identity(attempt, platform),
    }


def _base(platform: TaskPlatform, agent: Mapping[str, str]) -> dict[str, str]:
    path = agent.get("PATH", os.defpath)
    runtime = platform.runtime_bin
    base = {name: agent[name] for name in PASSED_ON if name in agent}
    return base | TUNING | {"PATH": f"{runtime}{os.pathsep}{path}" if runtime else path} | _s3(platform, agent)


def _s3(platform: TaskPlatform, agent: Mapping[str, str]) -> dict[str, str]:
    if not platform.storage.startswith("s3://"):
        return {}
    found = {name: agent[name] for name in PASSED_ON_FOR_S3 if name in agent}
    if platform.s3_endpoint_url:
        found["FLYTE_AWS_ENDPOINT"] = platform.s3_endpoint_url
        found["FLYTE_AWS_S3_ADDRESSING_STYLE"] = "path"
    if "AWS_DEFAULT_REGION" in found:
        found.setdefault("AWS_REGION", found["AWS_DEFAULT_REGION"])
    if "AWS_ACCESS_KEY_ID" in found and "AWS_SESSION_TOKEN" not in found:  # the SDK's own names know no session token
        found["FLYTE_AWS_ACCESS_KEY_ID"] = found["AWS_ACCESS_KEY_ID"]
        found["FLYTE_AWS_SECRET_ACCESS_KEY"] = found.get("AWS_SECRET_ACCESS_KEY", "")
    return found


def _identity(attempt: Attempt, platform: TaskPlatform) -> dict[str, str]:
    action = attempt.key.action
    url = urlsplit(platform.control_plane)
    return {
        "RUN_NAME": action.run,
        "ACTION_NAME": action.name,
        "_U_RUN_BASE": attempt.grant.run_output_base,
        "_U_ORG_NAME": action.org,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": action.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": action.domain,
        "FLYTE_ATTEMPT_NUMBER": str(attempt.key.attempt - 1),
        "_U_EP_OVERRIDE": f"dns:///{url.netloc}",
        "_U_INSECURE": "1" if url.scheme == "http" else "0",
    }
