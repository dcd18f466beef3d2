"""Run beside a deployment: print, as JSON, what the account says about everything the cloud assembly asked for.

For each property of each resource of the templates: whether it reads back through the service's API as it was sent, is
excused by the capability list, or neither. Beside it a few values that are read without any code of the emulator.
"""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import boto3

from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.capabilities import excuses
from signalbox_emulator.types.kind import Target
from signalbox_emulator.types.table import TABLE


def _client(service: str, region: str = "us-east-1") -> Any:
    return cast("Any", boto3).client(service, region_name=region)


def _resolved(stack: str) -> dict[str, dict[str, Any]]:
    """Return the properties with their references replaced, from what CloudFormation's own API knows."""
    cloudformation = _client("cloudformation")
    body = cloudformation.get_template(StackName=stack)["TemplateBody"]
    template = cast("dict[str, Any]", body if isinstance(body, dict) else json.loads(body))
    resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
    exports = {e["Name"]: e["Value"] for page in _pages("list_exports") for e in page["Exports"]}

    def replaced(value: Any) -> Any:
        """Return `value`, or None where it holds a function that only the engine resolves."""
        if isinstance(value, list):
            items = [replaced(item) for item in cast("list[Any]", value)]
            return None if None in items else items
        if not isinstance(value, dict):
            return value
        match cast("dict[str, Any]", value):
            case {"Ref": name} if name in ids:
                return ids[name]
            case {"Fn::ImportValue": name}:
                return exports[name]
            case {"Fn::GetAtt": _} | {"Fn::Join": _} | {"Fn::Sub": _} | {"Ref": _}:
                return None
            case other:
                members = {key: replaced(item) for key, item in other.items()}
                return None if None in members.values() else members

    return {
        logical: {name: replaced(value) for name, value in spec.get("Properties", {}).items()}
        for logical, spec in template["Resources"].items()
    }


def _pages(operation: str) -> Any:
    return _client("cloudformation").get_paginator(operation).paginate()


def _audit(stack: str) -> tuple[Counter[str], list[str]]:
    """Return how many properties ended how, and the paths of those that ended badly."""
    found: Counter[str] = Counter()
    bad: list[str] = []
    resources = _client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    resolved = _resolved(stack)
    for resource in resources:
        kind, logical = TABLE[resource["ResourceType"]], resource["LogicalResourceId"]
        known = {name: value for name, value in resolved[logical].items() if value is not None}
        found["unresolved"] += len(resolved[logical]) - len(known)
        target = Target(
            type=kind.type,
            region="us-east-1",
            account=ACCOUNT,
            properties=known,
            clients=_client,
            id=resource["PhysicalResourceId"],
        )
        lost = kind.lost(target, kind.look(target))
        unexcused = [path for path in lost if not excuses(kind.type, path)]
        found["excused"] += len(lost) - len(unexcused)
        found["kept"] += len(known) - len({path.split(".")[0] for path in lost})
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
