"""Every type of the table in a template of its family: created, changed, replaced, rolled back, read back, deleted.

A family is a file with a template's `Resources`; `Change` and `Replace` say, for a logical id, which properties get
which value (null takes one off), in place or by replacement; `NoValue` names attributes without a value there.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox_emulator.types.table import TABLE
from support.deployed_stack import DeployedStack

JsonObject = dict[str, Any]

_FILES = sorted(Path(__file__).with_name("families").glob("*.yaml"))
_ELSEWHERE = {"AWS::KMS::ReplicaKey", "AWS::Route53::RecordSet"}
"""Types that no single stack can hold; they have tests of their own."""


def _read(file: Path) -> JsonObject:
    return yaml.safe_load(file.read_text())


def _with(resources: JsonObject, changes: JsonObject) -> JsonObject:
    """Return `resources` with the properties of `changes`."""
    changed = copy.deepcopy(resources)
    for logical, properties in changes.items():
        for name, value in properties.items():
            if value is None:
                del changed[logical]["Properties"][name]
            else:
                changed[logical].setdefault("Properties", {})[name] = value
    return changed


def _outputs(family: JsonObject) -> JsonObject:
    """Return an output for each attribute that the types of the family have."""
    without = family.get("NoValue", {})
    return {
        f"{logical}x{name.replace('.', '')}": {"Value": {"Fn::GetAtt": [logical, name]}}
        for logical, resource in family["Resources"].items()
        for name in TABLE[resource["Type"]].attributes
        if name not in without.get(logical, [])
    }


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_a_family_lives_its_life(account: Any, file: Path) -> None:
    family = _read(file)
    outputs = _outputs(family)

    created = family["Resources"]
    stack = account.create(created, Outputs=outputs)
    name = stack["StackName"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", account.reasons(name)
    assert all(output["OutputValue"] not in {"", "None"} for output in stack.get("Outputs", []))
    assert _lost(account, name) == []
    ids = account.physical(name)

    changed = _with(created, family["Change"])
    stack = account.update(name, changed, Outputs=outputs)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", account.reasons(name)
    assert account.physical(name) == ids
    assert _lost(account, name) == []

    broken = {"Type": "AWS::Logs::LogGroup", "DependsOn": list(created), "Properties": {"Colour": "red"}}
    stack = account.update(name, {**created, "Broken": broken}, Outputs=outputs)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", account.reasons(name)
    assert _lost(account, name) == []

    stack = account.update(name, _with(changed, family["Replace"]), Outputs=outputs)
    assert (stack["StackStatus"], stack.get("StackStatusReason")) == ("UPDATE_COMPLETE", None), account.reasons(name)
    now = account.physical(name)
    assert {logical for logical in family["Replace"] if now[logical] == ids[logical]} == set()
    assert _lost(account, name) == []

    cloudformation = account.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    deleted = cloudformation.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    assert (deleted["StackStatus"], deleted.get("StackStatusReason")) == ("DELETE_COMPLETE", None)


def _lost(account: Any, stack: str) -> list[str]:
    deployed = DeployedStack(stack, "us-east-1", account.client)
    return [path for logical in deployed.ids for path in deployed.lost(logical)[1]]


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_a_wrong_property_of_any_type_is_refused_by_name(account: Any, file: Path) -> None:
    """Each type alone gets a property that no service has; the rest of its properties stays as it is."""
    resources = _read(file)["Resources"]
    kept = account.create(resources)["StackName"]
    accepted: list[str] = []
    for logical in resources:
        stack = account.update(kept, _with(resources, {logical: {"Colour": "red"}}))
        if stack["StackStatus"] != "UPDATE_ROLLBACK_COMPLETE":
            accepted.append(logical)

    account.client("cloudformation").delete_stack(StackName=kept)
    assert accepted == []


def test_every_type_of_the_table_has_a_family() -> None:
    found = {resource["Type"] for file in _FILES for resource in _read(file)["Resources"].values()}

    assert set(TABLE) - found == _ELSEWHERE


def test_a_multi_region_key_has_a_replica_in_another_region(account: Any) -> None:
    policy: JsonObject = {"Version": "2012-10-17", "Statement": []}
    primary = {"Type": "AWS::KMS::Key", "Properties": {"MultiRegion": True, "KeyPolicy": policy}}
    arn = {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}
    primary_arn = account.create({"Key": primary}, Outputs={"Arn": arn})["Outputs"][0]["OutputValue"]
    replica: JsonObject = {"PrimaryKeyArn": primary_arn, "KeyPolicy": policy, "Description": "copy", "Enabled": True}
    west = account.client("cloudformation", "us-west-2")

    def template() -> str:
        return json.dumps({"Resources": {"Copy": {"Type": "AWS::KMS::ReplicaKey", "Properties": replica}}})

    west.create_stack(StackName="replica", TemplateBody=template())
    assert west.describe_stacks(StackName="replica")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    replica |= {"Description": "other", "Enabled": False}
    west.update_stack(StackName="replica", TemplateBody=template())

    assert west.describe_stacks(StackName="replica")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    key = account.client("kms", "us-west-2").describe_key(KeyId=primary_arn.split("/")[-1])["KeyMetadata"]
    assert (key["Description"], key["Enabled"]) == ("other", False)
    assert key["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    west.delete_stack(StackName="replica")


def test_a_record_set_is_changed_in_place(account: Any) -> None:
    zone = account.client("route53").create_hosted_zone(Name="family.example.com", CallerReference="1")["HostedZone"]
    properties = {"HostedZoneId": zone["Id"].split("/")[-1], "Name": "a.family.example.com", "Type": "A", "TTL": "60"}

    def record(address: str) -> JsonObject:
        return {
            "Record": {"Type": "AWS::Route53::RecordSet", "Properties": {**properties, "ResourceRecords": [address]}}
        }

    name = account.create(record("192.0.2.1"))["StackName"]

    assert account.update(name, record("192.0.2.2"))["StackStatus"] == "UPDATE_COMPLETE"
    assert _lost(account, name) == []


def test_a_certificate_is_validated_in_the_zone_that_it_names(account: Any) -> None:
    route53 = account.client("route53")
    zone = route53.create_hosted_zone(Name="zoned.example.com", CallerReference="2")["HostedZone"]["Id"].split("/")[-1]
    options = [{"DomainName": "zoned.example.com", "HostedZoneId": zone}]
    properties = {"DomainName": "zoned.example.com", "ValidationMethod": "DNS", "DomainValidationOptions": options}

    stack = account.create({"C": {"Type": "AWS::CertificateManager::Certificate", "Properties": properties}})

    assert stack["StackStatus"] == "CREATE_COMPLETE", account.reasons(stack["StackName"])
    arn = account.physical(stack["StackName"])["C"]
    validation = account.client("acm").describe_certificate(CertificateArn=arn)["Certificate"][
        "DomainValidationOptions"
    ]
    wanted = validation[0]["ResourceRecord"]
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert wanted["Value"] in [r["ResourceRecords"][0]["Value"] for r in records if r["Type"] == "CNAME"]
    elsewhere = properties | {"DomainValidationOptions": [options[0] | {"HostedZoneId": "ZNOWHERE"}]}
    stack = account.create({"C": {"Type": "AWS::CertificateManager::Certificate", "Properties": elsewhere}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"


def test_dynamic_references_are_resolved_and_a_dangling_one_is_refused(account: Any) -> None:
    account.client("ssm").put_parameter(Name="/dynamic/days", Type="String", Value="30")
    secret = account.client("secretsmanager").create_secret(Name="dynamic", SecretString='{"name": "group"}')["ARN"]
    properties = {
        "LogGroupName": {"Fn::Join": ["", ["/{{resolve:secretsmanager:", secret, ":SecretString:name}}"]]},
        "RetentionInDays": "{{resolve:ssm:/dynamic/days}}",
    }

    stack = account.create({"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": properties}})

    assert stack["StackStatus"] == "CREATE_COMPLETE", account.reasons(stack["StackName"])
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="/group")["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [("/group", 30)]
    dangling = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "{{resolve:ssm:/nowhere}}"}}
    stack = account.create({"Logs": dangling})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "/nowhere not found" in account.reasons(stack["StackName"])[0]
