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

from signalbox_emulator.types.table import TABLE
from support.deployed_stack import DeployedStack

REGION = "us-east-1"


@cache
def _client(service: str, region: str = REGION) -> Any:
    return cast("Any", boto3).client(service, region_name=region)


def _audit(stack: str, region: str) -> tuple[Counter[str], list[str]]:
    """Return how many properties ended how, and the paths of those that ended badly."""
    found: Counter[str] = Counter()
    bad: list[str] = []
    deployed = DeployedStack(stack, region, _client)
    for logical in deployed.ids:
        excused, lost = deployed.lost(logical)
        found["excused"] += len(excused)
        spoilt = {path.split(".")[0] for path in [*excused, *lost]}
        found["kept"] += len(deployed.properties(logical)) - len(spoilt)
        bad += lost
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
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {
        artifact["properties"].get("stackName", name): artifact["environment"].rsplit("/", 1)[-1]
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    totals: Counter[str] = Counter()
    bad: list[str] = []
    for stack, region in stacks.items():
        found, lost = _audit(stack, region)
        totals += found
        bad += lost
    report = {
        "stacks": sorted(stacks),
        "properties": totals,
        "lost": bad,
        "plain": _plain_reading(),
        "types": len(TABLE),
    }
    Path(sys.argv[1]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
