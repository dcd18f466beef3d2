"""`deploy`: a project's real stacks into the emulator with the real cdk CLI, then a command beside them, then nothing.

Every process it starts ends with it. What it leaves in the state directory is the record of stacks that were deployed
entirely, the cloud assembly, and the logs.
"""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from signalbox_emulator import assembly
from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.children import child
from signalbox_emulator.environment import REGION, aws_environment, with_node
from signalbox_emulator.failures import Conflict, Failed, NotFound, Unavailable

Report = Callable[[str], None]

_CDK_TAG = "signalbox:cdk"
"""Tag of the bootstrap stack: the version of the cdk CLI that made it."""

_NOBODY = "http://localhost:9"
"""The discard port."""

_PROGRESS = re.compile(
    r"\s*(?:✅\s+(?P<done>\S+)(?P<same> \(no changes\))?|(?P<name>\S+): deploying\.\.\. \[(?P<of>[\d/]+)\])"
)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed, and where its state is kept. All paths are absolute."""

    project: Path
    state_dir: Path
    cdk: Path
    report: Report

    @property
    def assembly(self) -> Path:
        """The cloud assembly that is deployed."""
        return self.state_dir / "cdk.out"

    def log(self, name: str) -> Path:
        return self.state_dir / f"{name}.log"


@contextmanager
def exclusive(state_dir: Path) -> Generator[None]:
    """Hold `state_dir` for one process at a time; Conflict names the one that has it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Conflict(
                f"{state_dir} is in use by process {lock.read().strip() or 'unknown'}: stop it first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def starting_server(deployment: Deployment) -> Generator[Callable[[], str]]:
    """Start the emulator as a child and yield a function that waits for its endpoint; it ends with the block."""
    command = [sys.executable, "-m", "signalbox_emulator", "serve", "--state-dir", deployment.state_dir, "--with-stdin"]
    with (
        deployment.log("server").open("w") as log,
        child(command, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as server,
    ):
        yield lambda: _endpoint(server, deployment)


def _endpoint(server: subprocess.Popen[str], deployment: Deployment) -> str:
    """Return the endpoint that the server prints when it answers; what it prints before that is for the user."""
    for line in server.stdout or ():
        if line.startswith("http://"):
            return line.strip()
        deployment.report(line.strip())
    raise Unavailable(f"the emulator did not start: {assembly.last_words(deployment.log('server'))}")


def deploy(deployment: Deployment, wait_for_endpoint: Callable[[], str]) -> dict[str, str]:
    """Bring the project's stacks into the emulator; return the environment to reach them with.

    The stacks are synthesised while the server starts, with an endpoint where nobody listens: synthesis needs none.
    """
    if not deployment.cdk.exists():
        raise NotFound(f"{deployment.cdk} does not exist: install the project's Node packages, or name another --cdk")
    alone = with_node(aws_environment(_NOBODY, deployment.state_dir))
    if assembly.is_current(deployment.project, deployment.assembly, alone):
        deployment.report("nothing changed since the last synthesis")
    else:
        deployment.report("synthesising the stacks")
        assembly.synthesise(deployment.project, deployment.assembly, deployment.cdk, alone, deployment.log("synth"))
    endpoint = wait_for_endpoint()
    environment = aws_environment(endpoint, deployment.state_dir)
    steps = _Steps(deployment, with_node(environment), endpoint)
    for account, region in assembly.environments(deployment.assembly, REGION):
        _refuse_other_account(account)
        steps.bootstrap(region)
    steps.deploy()
    return environment | {"SIGNALBOX_EMULATOR": "1", "SIGNALBOX_CLOUD_ASSEMBLY": str(deployment.assembly)}


def _refuse_other_account(account: str) -> None:
    if account not in {ACCOUNT, "unknown-account"}:
        raise Failed(
            f"the stacks go to account {account}, and the emulator is account {ACCOUNT}: use its configuration"
        )


class _Steps:
    """The calls of the cdk CLI against one running emulator."""

    def __init__(self, deployment: Deployment, environment: Mapping[str, str], endpoint: str) -> None:
        self._deployment = deployment
        self._environment = environment
        self._endpoint = endpoint

    def bootstrap(self, region: str) -> None:
        """Run `cdk bootstrap` unless this version of it has made the bootstrap stack already."""
        version = _cli_version(self._deployment.cdk)
        if self._bootstrapped_by(region) == version:
            return
        self._deployment.report(f"bootstrapping {region}")
        arguments = ["bootstrap", f"aws://{ACCOUNT}/{region}", "--tags", f"{_CDK_TAG}={version}"]
        # Outside of the project: there the CLI would synthesise it first.
        self._cdk(arguments, cwd=self._deployment.state_dir)

    def deploy(self) -> None:
        arguments = ["deploy", "--all", "--app", str(self._deployment.assembly), "--require-approval", "never"]
        self._cdk(arguments, cwd=self._deployment.project)

    def _cdk(self, arguments: list[str], *, cwd: Path) -> None:
        """Run cdk with its output in a log and its progress reported; Failed names the resource that failed."""
        command = [self._deployment.cdk, *arguments, "--no-notices"]
        log = self._deployment.log(arguments[0])
        with (
            log.open("w") as output,
            child(command, env=self._environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        ):
            for line in process.stdout or ():
                output.write(line)
                if told := progress(line):
                    self._deployment.report(told)
            code = process.wait()
        if code:
            try:
                why = self._failed_resource() or assembly.last_words(log)
            except BotoCoreError:
                why = f"the emulator stopped: {assembly.last_words(self._deployment.log('server'))}"
            raise Failed(f"cdk {arguments[0]} failed with code {code}: {why} (all of it: {log})")

    def _bootstrapped_by(self, region: str) -> str | None:
        """Return the version of the CLI that made the bootstrap stack of `region`, None without one."""
        try:
            stack = self._cloudformation(region).describe_stacks(StackName="CDKToolkit")["Stacks"][0]
        except ClientError:
            return None
        return {tag["Key"]: tag["Value"] for tag in stack["Tags"]}.get(_CDK_TAG)

    def _failed_resource(self) -> str | None:
        """Return the first failure of a stack that is not complete, None when no stack is in that state."""
        for account_region in assembly.environments(self._deployment.assembly, REGION):
            cloudformation = self._cloudformation(account_region[1])
            for stack in cloudformation.describe_stacks()["Stacks"]:
                if "ROLLBACK" in stack["StackStatus"] or "FAILED" in stack["StackStatus"]:
                    events = cloudformation.describe_stack_events(StackName=stack["StackName"])["StackEvents"]
                    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
                    if failed:
                        return _failure(failed[-1])
        return None

    def _cloudformation(self, region: str) -> Any:
        # boto3's overloads name every service of AWS, and pyright knows the types of few.
        return cast("Any", boto3).client(
            "cloudformation",
            region_name=region,
            endpoint_url=self._endpoint,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="emulator",  # noqa: S106 - no secret: the emulator accepts any
        )


def progress(line: str) -> str | None:
    """Return what a line of cdk's output says about a stack's progress, None when it says nothing of it."""
    found = _PROGRESS.match(line)
    if found is None or found["done"] == "Environment":
        return None
    if found["done"]:
        return f"{found['done']}: {'no changes' if found['same'] else 'deployed'}"
    return f"{found['name']}: deploying ({found['of']})"


def _failure(event: Any) -> str:
    return (
        f"stack {event['StackName']}, resource {event['LogicalResourceId']} ({event['ResourceType']}): "
        f"{event.get('ResourceStatusReason', event['ResourceStatus'])}"
    )


def _cli_version(cdk: Path) -> str:
    """Return the version of the package that `cdk`, a link in node_modules/.bin, belongs to."""
    package = cdk.resolve().parent.parent / "package.json"
    if not package.exists():
        raise NotFound(f"{package} does not exist: --cdk names no installed aws-cdk")
    return json.loads(package.read_text())["version"]
