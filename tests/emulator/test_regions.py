"""A project of stacks in two regions: deployed, made again at the next start, changed, rolled back, destroyed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.copied_project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # five runs of the cdk CLI

JsonObject = dict[str, Any]

_PROGRAM = (
    "import boto3\n"
    "for region in ('us-east-1', 'us-west-2'):\n"
    "    logs = boto3.client('logs', region_name=region)\n"
    "    groups = logs.describe_log_groups()['logGroups']\n"
    "    print(region, sorted((group['logGroupName'], group['retentionInDays']) for group in groups))\n"
)
_READ = [sys.executable, "-c", _PROGRAM]
_POLICY: JsonObject = {"Version": "2012-10-17", "Statement": []}
_VAULT = "arn:aws:backup:us-west-2:000000000000:backup-vault:copies"


def _group(name: Any, days: Any = 7) -> JsonObject:
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, "RetentionInDays": days}}


def _write(project: Project, *, days: int = 7) -> None:
    """Put ten stacks into the project, three of them in the second region; values cross as exports and parameters."""
    rule = {"RuleName": "r", "TargetBackupVault": "here", "CopyActions": [{"DestinationBackupVaultArn": _VAULT}]}
    plan = {"BackupPlan": {"BackupPlanName": "p", "BackupPlanRule": [rule]}}
    cluster = {"Engine": "aurora-postgresql", "MasterUsername": "u", "ManageMasterUserPassword": True}
    cluster |= {"DBClusterIdentifier": "d", "DeletionProtection": True, "StorageEncrypted": True}
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": _POLICY}, "DeletionPolicy": "Retain"}
    exported = {"Days": {"Value": str(days), "Export": {"Name": "the-days"}}}
    parameter = {"Name": "/west/name", "Type": "String", "Value": "/west/read"}
    vault = {"Type": "AWS::Backup::BackupVault", "Properties": {"BackupVaultName": "copies"}}
    named = {"N": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/west/name"}}
    groups = {"L": _group({"Ref": "N"}), "M": _group("{{resolve:ssm:/west/name}}/too")}
    there = "us-west-2"

    project.write({"Vault": vault}, "vault", region=there)
    project.write({"P": {"Type": "AWS::SSM::Parameter", "Properties": parameter}}, "settings", region=there)
    project.write(groups, "reader", region=there, after=("settings",), Parameters=named)
    project.write({"Key": key}, "keys", protected=True, Outputs=exported)
    project.write({"L": _group("/east/days", {"Fn::ImportValue": "the-days"})}, "importer", after=("keys",))
    project.write({"Db": {"Type": "AWS::RDS::DBCluster", "Properties": cluster}}, "data", protected=True)
    project.write({"Plan": {"Type": "AWS::Backup::BackupPlan", "Properties": plan}}, "backup", after=("vault",))
    for number in range(3):
        project.write({"L": _group(f"/east/{number}")}, f"more{number}")


def test_two_regions_live_and_go(tmp_path: Path) -> None:
    project = Project(tmp_path)
    _write(project)
    first = project.deploy(then=_READ)
    assert first.returncode == 0, first.stderr
    east, west = first.stdout.splitlines()
    assert "('/east/days', 7)" in east
    assert west == "us-west-2 [('/west/read', 7), ('/west/read/too', 7)]"
    assert "bootstrapping us-west-2" in first.stderr

    again = project.deploy(then=_READ)
    assert again.stdout == first.stdout
    assert again.stderr.count("no changes") == 10, again.stderr
    assert "bootstrapping" not in again.stderr

    broken = {"Type": "AWS::Logs::LogGroup", "DependsOn": "L", "Properties": {"Colour": "red"}}
    project.write({"L": _group("/east/0", 30), "Broken": broken}, "more0")
    failed = project.deploy(then=_READ)
    assert failed.returncode == 7
    assert "stack more0, resource Broken (AWS::Logs::LogGroup)" in failed.stderr

    project.write({"L": _group("/east/0", 14)}, "more0")
    changed = project.deploy(then=_READ)
    assert changed.returncode == 0, changed.stderr
    assert "('/east/0', 14)" in changed.stdout
    assert changed.stderr.count("no changes") == 9, changed.stderr

    gone = project.destroy()
    assert gone.returncode == 0, gone.stderr
    said = gone.stderr.splitlines()
    assert "keys: termination protection lifted" in said
    assert "data: deletion protection of database d lifted" in said
    assert sum(line.endswith(": destroyed") for line in said) == 10, gone.stderr
    assert [line.rsplit(" ", 1)[0] for line in said if "retained" in line] == ["keys: retained AWS::KMS::Key"]
    assert not (project.state_dir / "stacks.json").exists()
    assert project.destroy().stderr.strip() == f"{project.state_dir}: nothing was recorded"


def test_a_stack_that_came_to_need_a_younger_one_is_made_after_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write({"L": _group("/older")}, "older")
    younger = {"Name": "/younger", "Type": "String", "Value": "30"}
    project.write({"P": {"Type": "AWS::SSM::Parameter", "Properties": younger}}, "younger")
    assert project.deploy().returncode == 0

    project.write({"L": _group("/older", "{{resolve:ssm:/younger}}")}, "older", after=("younger",))
    for _ in range(2):
        result = project.deploy(then=_READ)
        assert (result.returncode, "discarded" in result.stderr) == (0, False), result.stderr
        assert "('/older', 30)" in result.stdout
    assert json.loads((project.state_dir / "stacks.json").read_text())["format"] == 2
