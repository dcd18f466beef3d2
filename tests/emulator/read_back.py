"""Run beside a deployment: print, as JSON, what the account says about everything the cloud assembly asked for.

For each property of each resource of the templates: whether it reads back through the service's API as it was sent, is
excused by the capability list, or neither. Beside it a few values that are read without any code of the emulator.
"""

import json
import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, cast

import boto3

from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.capabilities import excuses
from signalbox_emulator.cloudformation.intrinsics import Scope, resolve
from signalbox_emulator.types.kind import Target
from signalbox_emulator.types.table import TABLE

REGION = "us-east-1"


@cache
def _client(service: str, region: str = REGION) -> Any:
    return cast("Any", boto3).client(service, region_name=region)


class _Deployed:
    """One stack as deployed, its template resolved from what the APIs answer now, nothing from the engine's memory."""

    def __init__(self, name: str) -> None:
        cloudformation = _client("cloudformation")
        body = cloudformation.get_template(StackName=name)["TemplateBody"]
        self._template = cast("dict[str, Any]", body if isinstance(body, dict) else json.loads(body))
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.ids: dict[str, str] = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
        pages = cloudformation.get_paginator("list_exports").paginate()
        exports: dict[str, str] = {e["Name"]: e["Value"] for page in pages for e in page["Exports"]}
        pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::StackName": name}
        self._scope = Scope(
            pseudo=pseudo | {"AWS::URLSuffix": "amazonaws.com"},
            parameters={},
            mappings={},
            conditions={},
            zones=lambda _: [],
            ref=self.ids.__getitem__,
            attribute=self._attribute,
            export=exports.__getitem__,
        )
        self._targets: dict[str, Target] = {}

    def target(self, logical: str) -> Target:
        if logical not in self._targets:
            spec = self._template["Resources"][logical]
            self._targets[logical] = Target(
                type=spec["Type"],
                region=REGION,
                account=ACCOUNT,
                properties=resolve(spec.get("Properties", {}), self._scope),
                clients=_client,
                id=self.ids[logical],
            )
        return self._targets[logical]

    def _attribute(self, logical: str, name: str) -> Any:
        target = self.target(logical)
        kind = TABLE[target.type]
        return kind.attribute(target, kind.look(target), name)


def _audit(stack: str) -> tuple[Counter[str], list[str]]:
    """Return how many properties ended how, and the paths of those that ended badly."""
    found: Counter[str] = Counter()
    bad: list[str] = []
    deployed = _Deployed(stack)
    for logical in deployed.ids:
        target = deployed.target(logical)
        kind = TABLE[target.type]
        lost = kind.lost(target, kind.look(target))
        unexcused = [path for path in lost if not excuses(kind.type, path)]
        found["excused"] += len(lost) - len(unexcused)
        found["kept"] += len(target.properties) - len({path.split(".")[0] for path in lost})
        bad += [f"{logical} {kind.type}.{path}" for path in unexcused]
    return found, bad


def _plain_reading() -> dict[str, Any]:
    rds, kms = _client("rds"), _client("kms")
    cluster = rds.describe_db_clusters()["DBClusters"][0]
    instances = rds.describe_db_instances()["DBInstances"]
    listeners = [
        listener
        for balancer in _client("elbv2").describe_load_balancers()["LoadBalancers"]
        for listener in _client("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    ]
    return {
        "encrypted": cluster["StorageEncrypted"],
        "key_rotates": kms.get_key_rotation_status(KeyId=cluster["KmsKeyId"])["KeyRotationEnabled"],
        "backup_days": cluster["BackupRetentionPeriod"],
        "zones": sorted(instance["AvailabilityZone"] for instance in instances),
        "protocols": sorted(listener["Protocol"] for listener in listeners),
    }


def main() -> None:
    assembly = Path(os.environ["SIGNALBOX_CLOUD_ASSEMBLY"])
    stacks = sorted(path.name.removesuffix(".template.json") for path in assembly.glob("*.template.json"))
    totals: Counter[str] = Counter()
    bad: list[str] = []
    for stack in stacks:
        found, lost = _audit(stack)
        totals += found
        bad += lost
    report = {"stacks": stacks, "properties": totals, "lost": bad, "plain": _plain_reading(), "types": len(TABLE)}
    Path(sys.argv[1]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
