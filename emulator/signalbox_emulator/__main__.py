"""The command `signalbox-emulator`."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Annotated, Literal, TextIO

import cyclopts
from cyclopts import Parameter

from signalbox_emulator.aws import MOTO_ENVIRONMENT
from signalbox_emulator.capabilities import CAPABILITIES
from signalbox_emulator.children import Interrupted, child, interruptible
from signalbox_emulator.deploy import deploy
from signalbox_emulator.deployment import GIVEN, Deployment, exclusive, starting_server
from signalbox_emulator.environment import forget_caller
from signalbox_emulator.failures import Failed, Failure

Output = Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])]

_INTERRUPTED = 130

app = cyclopts.App(
    name="signalbox-emulator",
    help="A local AWS account: moto's server with its missing CloudFormation types, on loopback only.",
)


@app.command
def serve(*, port: int = 0, state_dir: Path | None = None, with_stdin: bool = False) -> int:
    """Serve an account in the foreground until SIGINT or SIGTERM; the first line printed is the endpoint.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 takes a free one.
    state_dir
        Where stacks are recorded, and made again from at the next start. Without it the account is forgotten.
    with_stdin
        Stop when standard input ends, so that the server cannot outlive what started it and holds the state directory.

    """
    os.environ.update(MOTO_ENVIRONMENT)
    gc.disable()  # until the account is there: it would look through what grows over and over, and find little
    from signalbox_emulator.server import Emulator  # noqa: PLC0415 - moto reads the environment when it is imported

    if with_stdin:
        Thread(target=_stop_at_end_of_input, daemon=True).start()
    # `deploy` starts a server for a directory that it holds already.
    hold = exclusive(state_dir) if state_dir and not with_stdin else nullcontext()
    try:
        with hold:
            emulator = Emulator(port, state_dir)
            if emulator.notice:
                _say(emulator.notice, stream=sys.stdout)
            # What `deploy` does first can be done meanwhile; who serves for others promises the whole account.
            if with_stdin:
                emulator.restore_meanwhile()
            else:
                emulator.restore()
            _say(emulator.endpoint, stream=sys.stdout)
            emulator.serve()
    except Failure as failure:
        _say(f"signalbox-emulator: {failure}")
        return failure.code
    return 0


@app.command(name="deploy")
def deploy_command(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    project: Path,
    state_dir: Path,
    cdk: Path | None = None,
    given: Path | None = None,
    endpoint: str | None = None,
    keep: bool = False,
    fresh: bool = False,
) -> int:
    """Deploy a CDK project's stacks with the real cdk CLI, run COMMAND beside them, and stop everything.

    Ends with COMMAND's exit code; 7 when the deployment failed, 6 when something it needs is missing, 5 when the state
    directory is in use, 130 when it was interrupted.

    Parameters
    ----------
    command
        What to run once everything is deployed, after `--`, with AWS_ENDPOINT_URL and credentials for the emulator,
        SIGNALBOX_EMULATOR=1, and SIGNALBOX_CLOUD_ASSEMBLY naming the synthesised templates.
    project
        The folder with cdk.json.
    state_dir
        Where stacks are recorded; a second deployment of the same project changes nothing.
    cdk
        The cdk CLI; by default the project's own, node_modules/.bin/cdk.
    given
        A YAML file of what the account holds before: `hosted_zones`, a mapping of id -> domain. It is kept with the
        state, until that is forgotten.
    endpoint
        Deploy to what somebody else serves there, instead of a server of ours. Then nothing is recorded.
    keep
        Go on serving after COMMAND, until interrupted.
    fresh
        Forget the recorded stacks first.

    """
    deployment = _deployment(project, state_dir, cdk)
    with interruptible():
        try:
            with exclusive(deployment.state_dir):
                if fresh:
                    _forget(deployment.state_dir)
                if given and endpoint:
                    raise Failed(f"--given {given} is for a server of ours, and {endpoint} is not")
                if given:
                    shutil.copyfile(given, deployment.state_dir / GIVEN)
                with nullcontext(lambda: endpoint) if endpoint else starting_server(deployment) as wait_for_endpoint:
                    environment = deploy(deployment, wait_for_endpoint)
                    code = _run_beside(list(command), environment) if command else 0
                    if keep:
                        _say(f"serving on {environment['AWS_ENDPOINT_URL']} until interrupted")
                        signal.pause()
                    return code
        except Failure as failure:
            _say(f"signalbox-emulator: {failure}")
            return failure.code
        except Interrupted:
            return _INTERRUPTED


@app.command(name="destroy")
def destroy_command(*, project: Path, state_dir: Path, cdk: Path | None = None) -> int:
    """Destroy the recorded stacks with the real cdk CLI, then forget the account.

    First it does what has to be done on AWS too, and says each: it lifts the protection of stacks and of what is in
    them, and empties buckets that are to go. At the end it names what the templates retain. Exit codes as of `deploy`.

    Parameters
    ----------
    project
        The folder with cdk.json.
    state_dir
        The state directory of `deploy`.
    cdk
        The cdk CLI; by default the project's own, node_modules/.bin/cdk.

    """
    from signalbox_emulator.destroy import destroy  # noqa: PLC0415 - it imports moto, which `serve` must do later

    deployment = _deployment(project, state_dir, cdk)
    with interruptible():
        try:
            with exclusive(deployment.state_dir):
                if not deployment.recorded:
                    _say(f"{deployment.state_dir}: nothing was recorded")
                    return 0
                with starting_server(deployment) as wait_for_endpoint:
                    destroy(deployment, wait_for_endpoint)
                _forget(deployment.state_dir)
                _say(f"{deployment.state_dir}: forgotten")
        except Failure as failure:
            _say(f"signalbox-emulator: {failure}")
            return failure.code
        except Interrupted:
            return _INTERRUPTED
    return 0


@app.command
def forget(*, state_dir: Path, output: Output = "text") -> int:
    """Forget the account recorded in a state directory, with everything in it, without destroying anything.

    Parameters
    ----------
    state_dir
        The state directory of `serve` or `deploy`.
    output
        Form of the report.

    """
    state_dir = state_dir.resolve()
    try:
        with exclusive(state_dir):
            existed = _forget(state_dir)
    except Failure as failure:
        _say(f"signalbox-emulator: {failure}")
        return failure.code
    if output == "json":
        _say(json.dumps({"state_dir": str(state_dir), "existed": existed}), stream=sys.stdout)
    else:
        _say(f"{state_dir}: {'forgotten' if existed else 'nothing was recorded'}", stream=sys.stdout)
    return 0


@app.command
def capabilities(*, output: Output = "text") -> int:
    """List what cannot be shown on this emulator: what moto loses, what it invents, and what we patched.

    Parameters
    ----------
    output
        Form of the list; json is an array of {service, attribute, kind, reason, property}.

    """
    if output == "json":
        _say(json.dumps([asdict(entry) for entry in CAPABILITIES], indent=2), stream=sys.stdout)
    else:
        for entry in CAPABILITIES:
            _say(f"{entry.kind:9} {entry.service:4} {entry.attribute}: {entry.reason}", stream=sys.stdout)
    return 0


def _deployment(project: Path, state_dir: Path, cdk: Path | None) -> Deployment:
    return Deployment(
        project=project.resolve(),
        state_dir=state_dir.resolve(),
        cdk=(cdk or project.resolve() / "node_modules" / ".bin" / "cdk").absolute(),
        report=_say,
    )


def _run_beside(command: list[str], environment: dict[str, str]) -> int:
    with child(command, env=environment, stdin=subprocess.DEVNULL) as process:
        return process.wait()


def _forget(state_dir: Path) -> bool:
    """Remove the recorded stacks; return whether there were any."""
    shutil.rmtree(state_dir / "cdk-home", ignore_errors=True)
    recorded = state_dir / "stacks.json"
    existed = recorded.exists()
    recorded.unlink(missing_ok=True)
    (state_dir / GIVEN).unlink(missing_ok=True)
    return existed


def _stop_at_end_of_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _say(sentence: str, *, stream: TextIO | None = None) -> None:
    print(sentence, file=stream or sys.stderr, flush=True)


def main() -> None:
    """Run the command, and exit with its code."""
    forget_caller()
    sys.exit(app())


if __name__ == "__main__":
    main()
