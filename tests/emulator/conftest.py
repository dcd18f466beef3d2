"""One emulator for the session, reached over its port as any client would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any, cast
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from signalbox_emulator.aws import ACCOUNT

JsonObject = dict[str, Any]


class Account:
    """The emulated account of one server."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = "us-east-1") -> Any:
        if (service, region) not in self._clients:
            self._clients[service, region] = self._connect(service, region)
        return self._clients[service, region]

    def _connect(self, service: str, region: str) -> Any:
        return cast("Any", boto3).client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def create(self, resources: JsonObject, *, name: str | None = None, **sections: Any) -> JsonObject:
        """Create a stack and return it as DescribeStacks does, whatever became of it."""
        name = name or f"t{uuid4().hex[:8]}"
        template = json.dumps({"Resources": resources, **sections})
        self.client("cloudformation").create_stack(StackName=name, TemplateBody=template)
        return self.stack(name)

    def update(self, name: str, resources: JsonObject, **sections: Any) -> JsonObject:
        template = json.dumps({"Resources": resources, **sections})
        self.client("cloudformation").update_stack(StackName=name, TemplateBody=template)
        return self.stack(name)

    def stack(self, name: str) -> JsonObject:
        return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def physical(self, stack: str) -> dict[str, str]:
        """Return logical id -> physical id."""
        found = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def reasons(self, stack: str) -> list[str]:
        """Return why resources failed, newest first."""
        events = self.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
        return [e["ResourceStatusReason"] for e in events if e["ResourceStatus"].endswith("_FAILED")]

    def contents(self) -> JsonObject:
        """Return what the account holds, of the kinds that these tests create."""
        ec2, logs = self.client("ec2"), self.client("logs")
        return {
            "vpcs": sorted(v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]),
            "subnets": sorted(s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]),
            "groups": sorted(g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]),
            "logs": sorted(g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]),
            "roles": sorted(r["RoleName"] for r in self.client("iam").list_roles()["Roles"]),
            "parameters": sorted(p["Name"] for p in self.client("ssm").describe_parameters()["Parameters"]),
            "buckets": sorted(b["Name"] for b in self.client("s3").list_buckets()["Buckets"]),
        }


@pytest.fixture(scope="session")
def server() -> Generator[subprocess.Popen[str]]:
    """A running `signalbox-emulator serve` without a state directory; its first line of output was read."""
    command = [sys.executable, "-m", "signalbox_emulator", "serve", "--with-stdin"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="session")
def account(server: subprocess.Popen[str]) -> Account:
    assert server.stdout is not None
    return Account(server.stdout.readline().strip())


@pytest.fixture
def log_group() -> Callable[..., JsonObject]:
    """A builder of a small resource that can be changed in place, be replaced, and be made to fail."""

    def build(name: str, days: int | str = 7) -> JsonObject:
        return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "RetentionInDays": days}}

    return build
