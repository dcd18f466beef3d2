"""Deploys the stacks into LocalStack, the container that AWS's emulator of that name is: `make deploy-localstack`.

It starts the container on loopback, waits until it is well, and runs the deployment of `signalbox-emulator deploy`
against it. A resource that LocalStack does not know fails the deployment. The token travels in the environment alone,
never in an argument or a log.

Exit codes: 0 done, 3 neither docker nor podman, 4 no token, 6 the container does not come up, else those of `deploy`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cyclopts import App

TOKEN = "LOCALSTACK_AUTH_TOKEN"  # noqa: S105 - the name of the variable
IMAGE = "localstack/localstack-pro"
_INSIDE = 4566
"""The port of LocalStack in its container."""

app = App(name="localstack", help="Deploy a project's stacks into LocalStack.")


class Failure(Exception):
    """A sentence for the user, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@app.default
def deploy(*, project: Path, state_dir: Path, keep: bool = False, port: int = _INSIDE, patience: float = 180) -> int:
    """Start LocalStack, deploy the project's stacks into it, and stop it.

    Parameters
    ----------
    project
        The folder with cdk.json.
    state_dir
        Where the cloud assembly and the logs go; the account itself ends with the container.
    keep
        Leave the container running.
    port
        Port on 127.0.0.1.
    patience
        Seconds that the container may take to come up.

    """
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None:
        raise Failure(
            3, "LocalStack is a container, and neither docker nor podman is on PATH: https://docs.docker.com/get-docker"
        )
    if not os.environ.get(TOKEN):
        raise Failure(
            4,
            f"{TOKEN} is not set: LocalStack starts with the token of an account of https://app.localstack.cloud only",
        )
    state_dir.mkdir(parents=True, exist_ok=True)
    with _running(engine, port, state_dir / "localstack.log", keep=keep):
        endpoint = f"http://localhost:{port}"
        _wait(f"{endpoint}/_localstack/health", patience)
        command = [sys.executable, "-m", "signalbox_emulator", "deploy", "--endpoint", endpoint]
        command += ["--project", str(project), "--state-dir", str(state_dir)]
        return subprocess.run(command, env=_without_token(), check=False).returncode


@contextmanager
def _running(engine: str, port: int, log: Path, *, keep: bool) -> Generator[None]:
    """Run the container until the block ends, or leave it there; what it said is in `log`."""
    name = f"signalbox-localstack-{port}"
    image = os.environ.get("LOCALSTACK_IMAGE") or IMAGE
    command = [engine, "run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:{_INSIDE}"]
    command += ["--env", TOKEN, "--env", "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES=0", image]
    started = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if started.returncode != 0:
        raise Failure(6, f"{engine} run {image} ended with {started.returncode}; what it said is above")
    try:
        yield
    finally:
        said = subprocess.run([engine, "logs", name], capture_output=True, text=True, env=_without_token(), check=False)
        log.write_text((said.stdout + said.stderr).replace(os.environ[TOKEN], "(the token)"))
        if keep:
            sys.stderr.write(
                f"{name} serves on http://localhost:{port} until `{Path(engine).name} rm --force {name}`\n"
            )
        else:
            subprocess.run(
                [engine, "rm", "--force", name], stdout=subprocess.DEVNULL, env=_without_token(), check=False
            )


def _wait(url: str, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback, by http
                if answer.status == 200:  # noqa: PLR2004 - OK
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > end:
                raise Failure(6, f"{url} does not answer after {patience:.0f} s: {error}") from error
        time.sleep(0.5)


def _without_token() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != TOKEN}


if __name__ == "__main__":
    try:
        sys.exit(app())
    except Failure as failure:
        sys.stderr.write(f"localstack: {failure}\n")
        sys.exit(failure.code)
