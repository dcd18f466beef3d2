"""The cdk CLI against one running emulator: its output in a log, its progress reported, its failure in words."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from signalbox_emulator import assembly
from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.children import child
from signalbox_emulator.deployment import Deployment
from signalbox_emulator.environment import REGION
from signalbox_emulator.failures import Failed, NotFound

_NO_ANSWER = (BotoCoreError, ResponseParserError)
"""What a call ends with when its server stops: before the answer, or in the middle of it."""

_CDK_TAG = "signalbox:cdk"
"""Tag of the bootstrap stack: the version of the cdk CLI that made it."""

_PROGRESS = re.compile(
    r"\s*(?:✅\s+(?P<gone>\S+): destroyed|✅\s+(?P<done>\S+)(?P<same> \(no changes\))?"
    r"|(?P<name>\S+): (?P<verb>deploying|destroying)\.\.\. \[(?P<of>[\d/]+)\])"
)


class Cdk:
    """The calls of the CLI that `deployment` names."""

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

    def destroy(self) -> None:
        arguments = ["destroy", "--all", "--app", str(self._deployment.assembly), "--force"]
        self._cdk(arguments, cwd=self._deployment.project)

    def wait_for_all(self) -> None:
        """Return when every recorded stack exists again, those too that are no longer deployed."""
        try:
            self.client("cloudformation", REGION).describe_stacks()
        except _NO_ANSWER:
            raise Failed(self._stopped()) from None

    def client(self, service: str, region: str) -> Any:
        # boto3's overloads name every service of AWS, and pyright knows the types of few.
        return cast("Any", boto3).client(
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="emulator",  # noqa: S106 - no secret: the emulator accepts any
        )

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
            except _NO_ANSWER:
                why = self._stopped()
            raise Failed(f"cdk {arguments[0]} failed with code {code}: {why} (all of it: {log})")

    def _stopped(self) -> str:
        log = self._deployment.log("server")
        why = f": {assembly.last_words(log)}" if log.exists() else ""
        return f"nobody answers at {self._endpoint} (any more){why}"

    def _bootstrapped_by(self, region: str) -> str | None:
        """Return the version of the CLI that made the bootstrap stack of `region`, None without one."""
        try:
            stack = self.client("cloudformation", region).describe_stacks(StackName="CDKToolkit")["Stacks"][0]
        except ClientError:
            return None
        except _NO_ANSWER:
            raise Failed(self._stopped()) from None
        return {tag["Key"]: tag["Value"] for tag in stack["Tags"]}.get(_CDK_TAG)

    def _failed_resource(self) -> str | None:
        """Return the first failure of a stack that is not complete, None when no stack is in that state."""
        for account_region in assembly.environments(self._deployment.assembly, REGION):
            cloudformation = self.client("cloudformation", account_region[1])
            for stack in cloudformation.describe_stacks()["Stacks"]:
                if "ROLLBACK" in stack["StackStatus"] or "FAILED" in stack["StackStatus"]:
                    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack["StackName"])
                    events = [event for page in pages for event in page["StackEvents"]]
                    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
                    if failed:
                        return _failure(failed[-1])
        return None


def progress(line: str) -> str | None:
    """Return what a line of cdk's output says about a stack's progress, None when it says nothing of it."""
    found = _PROGRESS.match(line)
    if found is None or found["done"] == "Environment":
        return None
    if found["gone"]:
        return f"{found['gone']}: destroyed"
    if found["done"]:
        return f"{found['done']}: {'no changes' if found['same'] else 'deployed'}"
    return f"{found['name']}: {found['verb']} ({found['of']})"


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
