"""What becomes of stacks, seen through the API: refusals, failures, changes, replacements, deletions."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.listening import listening_addresses

JsonObject = dict[str, Any]
LogGroup = Callable[..., JsonObject]

_VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}


def test_an_unknown_type_is_refused_before_anything_is_created(account: Any, log_group: LogGroup) -> None:
    before = account.contents()
    template = {"Resources": {"Logs": log_group("/never"), "Odd": {"Type": "AWS::Athena::WorkGroup"}}}

    with pytest.raises(ClientError, match=r"AWS::Athena::WorkGroup \(Odd\)"):
        account.client("cloudformation").create_change_set(
            StackName="odd", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=json.dumps(template)
        )

    assert account.contents() == before
    with pytest.raises(ClientError, match="does not exist"):
        account.stack("odd")


@pytest.mark.parametrize(
    ("kind", "properties", "named"),
    [
        ("AWS::EC2::VPC", {"CidrBlock": "10.9.0.0/16", "Colour": "red"}, "AWS::EC2::VPC.Colour"),
        ("AWS::S3::Bucket", {"WebsiteConfiguration": {"IndexDocument": "i"}}, "AWS::S3::Bucket.WebsiteConfiguration"),
        ("AWS::IAM::Policy", {"PolicyName": "p", "PolicyDocument": {}, "Roles": [], "Users": ["u"]}, "Users"),
        ("AWS::ECS::TaskDefinition", {"ContainerDefinitions": [{"Name": "a", "Hue": 1}]}, r"\[0\].Hue"),
    ],
)
def test_a_property_without_a_home_fails_by_name_and_leaves_nothing(
    account: Any, log_group: LogGroup, kind: str, properties: JsonObject, named: str
) -> None:
    before = account.contents()
    odd = {"Type": kind, "Properties": properties, "DependsOn": "Logs"}

    stack = account.create({"Logs": log_group("/homeless"), "Odd": odd})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert re.search(named, account.reasons(stack["StackName"])[0])
    assert "no home" in account.reasons(stack["StackName"])[0]
    assert account.contents() == before


def test_a_property_that_the_service_loses_fails_by_name(account: Any) -> None:
    # moto takes the setting and does not keep it, and the capability list does not name it.
    properties = {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24"}
    properties["OutpostArn"] = "arn:aws:outposts:us-east-1:000000000000:outpost/op-1"

    stack = account.create({"Vpc": _VPC, "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": properties}})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "OutpostArn did not read back as sent" in account.reasons(stack["StackName"])[0]


def test_a_failed_creation_leaves_nothing(account: Any, log_group: LogGroup) -> None:
    before = account.contents()
    subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.200.0.0/24"}}

    stack = account.create({"Logs": log_group("/gone"), "Vpc": _VPC, "Outside": subnet})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "10.200.0.0/24" in account.reasons(stack["StackName"])[0]
    assert account.contents() == before


def test_a_changed_property_is_changed_in_place(account: Any, log_group: LogGroup) -> None:
    name = account.create({"Logs": log_group("/changes", 7)})["StackName"]

    stack = account.update(name, {"Logs": log_group("/changes", 30)})

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="/changes")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [30]


def test_a_failed_update_restores_the_former_values(account: Any, log_group: LogGroup) -> None:
    name = account.create({"Logs": log_group("/restored", 7), "Vpc": _VPC})["StackName"]
    before = account.contents()
    outside = {
        "Type": "AWS::EC2::Subnet",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.200.0.0/24"},
        "DependsOn": ["Logs", "New"],
    }

    stack = account.update(
        name, {"Logs": log_group("/restored", 30), "Vpc": _VPC, "New": log_group("/new"), "Outside": outside}
    )

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.contents() == before
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="/restored")["logGroups"]
    assert groups[0]["retentionInDays"] == 7
    assert account.update(name, {"Logs": log_group("/restored", 14), "Vpc": _VPC})["StackStatus"] == "UPDATE_COMPLETE"


def test_a_change_that_has_no_way_is_refused_in_words(account: Any, log_group: LogGroup) -> None:
    name = account.create({"Logs": log_group("/stuck", 7)})["StackName"]
    without = log_group("/stuck")
    del without["Properties"]["RetentionInDays"]

    stack = account.update(name, {"Logs": without})

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.reasons(name)[0] == (
        "this emulator does not support removing RetentionInDays from a AWS::Logs::LogGroup"
    )


def test_what_depends_on_a_replaced_resource_follows_it(account: Any) -> None:
    def resources(group: str) -> JsonObject:
        return {
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group}},
            "Pointer": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/pointer", "Type": "String", "Value": {"Fn::Sub": "at ${Logs.Arn}"}},
            },
        }

    name = account.create(resources("/old"))["StackName"]

    stack = account.update(name, resources("/other"))

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    value = account.client("ssm").get_parameter(Name="/pointer")["Parameter"]["Value"]
    assert value == "at arn:aws:logs:us-east-1:000000000000:log-group:/other:*"
    assert "/old" not in account.contents()["logs"]
    assert "/other" in account.contents()["logs"]


def test_deletion_empties_the_account(account: Any, log_group: LogGroup) -> None:
    before = account.contents()
    subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24"}}
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g", "VpcId": {"Ref": "Vpc"}}}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    everything = {"Vpc": _VPC, "Subnet": subnet, "Group": group, "Role": role, "Bucket": bucket, "L": log_group("/l")}
    name = account.create(everything)["StackName"]
    assert account.contents() != before

    account.client("cloudformation").delete_stack(StackName=name)

    assert account.contents() == before
    with pytest.raises(ClientError, match="does not exist"):
        account.stack(name)


def test_resources_left_out_of_an_update_are_deleted_last_created_first(account: Any, log_group: LogGroup) -> None:
    subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24"}}
    name = account.create({"Logs": log_group("/kept"), "Vpc": _VPC, "Subnet": subnet})["StackName"]

    stack = account.update(name, {"Logs": log_group("/kept")})

    assert (stack["StackStatus"], stack.get("StackStatusReason")) == ("UPDATE_COMPLETE", None)
    assert list(account.physical(name)) == ["Logs"]


def test_a_retained_resource_outlives_its_stack(account: Any, log_group: LogGroup) -> None:
    name = account.create({"Logs": log_group("/outlives") | {"DeletionPolicy": "Retain"}})["StackName"]

    account.client("cloudformation").delete_stack(StackName=name)

    assert "/outlives" in account.contents()["logs"]
    account.client("logs").delete_log_group(logGroupName="/outlives")


def test_a_protected_stack_is_not_deleted(account: Any, log_group: LogGroup) -> None:
    cloudformation = account.client("cloudformation")
    name = account.create({"Logs": log_group("/protected")})["StackName"]
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)

    with pytest.raises(ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName=name)

    assert account.stack(name)["EnableTerminationProtection"] is True
    assert "/protected" in account.contents()["logs"]


def test_an_export_reaches_another_stack_and_cannot_be_dropped_while_it_does(account: Any, log_group: LogGroup) -> None:
    exported = {"Name": {"Value": {"Ref": "Logs"}, "Export": {"Name": "the-logs"}}}
    exporter = account.create({"Logs": log_group("/exported")}, Outputs=exported)["StackName"]
    pointer = {"Name": "/imported", "Type": "String", "Value": {"Fn::ImportValue": "the-logs"}}
    importer = account.create({"P": {"Type": "AWS::SSM::Parameter", "Properties": pointer}})

    assert importer["StackStatus"] == "CREATE_COMPLETE"
    assert account.client("ssm").get_parameter(Name="/imported")["Parameter"]["Value"] == "/exported"
    with pytest.raises(ClientError, match="in use by"):
        account.client("cloudformation").delete_stack(StackName=exporter)
    assert account.update(exporter, {"Logs": log_group("/exported")})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [output["ExportName"] for output in account.stack(exporter)["Outputs"]] == ["the-logs"]


def test_a_change_set_without_changes_fails_with_the_words_of_aws(account: Any, log_group: LogGroup) -> None:
    cloudformation = account.client("cloudformation")
    name = account.create({"Logs": log_group("/same")})["StackName"]
    body = json.dumps({"Resources": {"Logs": log_group("/same")}})

    cloudformation.create_change_set(StackName=name, ChangeSetName="same", ChangeSetType="UPDATE", TemplateBody=body)

    answer = cloudformation.describe_change_set(StackName=name, ChangeSetName="same")
    assert (answer["Status"], answer["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in answer["StatusReason"]


def test_parameters_come_from_the_caller_the_default_the_store_and_the_former_value(account: Any) -> None:
    account.client("ssm").put_parameter(Name="/stored", Type="String", Value="from the store")
    parameters = {
        "Given": {"Type": "String"},
        "Default": {"Type": "Number", "Default": 7},
        "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/stored"},
    }
    value = {"Fn::Join": ["|", [{"Ref": "Given"}, {"Ref": "Default"}, {"Ref": "Stored"}]]}
    pointer = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/joined", "Type": "String", "Value": value}}
    body = json.dumps({"Parameters": parameters, "Resources": {"P": pointer}})
    cloudformation = account.client("cloudformation")
    cloudformation.create_stack(
        StackName="parameters", TemplateBody=body, Parameters=[{"ParameterKey": "Given", "ParameterValue": "one"}]
    )
    assert account.client("ssm").get_parameter(Name="/joined")["Parameter"]["Value"] == "one|7|from the store"

    account.client("ssm").put_parameter(Name="/stored", Type="String", Value="newer", Overwrite=True)
    cloudformation.update_stack(
        StackName="parameters",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Given", "UsePreviousValue": True}],
    )

    assert account.client("ssm").get_parameter(Name="/joined")["Parameter"]["Value"] == "one|7|newer"
    with pytest.raises(ClientError, match=r"Parameters: \[Given\] must have values"):
        cloudformation.create_stack(StackName="lacking", TemplateBody=body)


def test_a_written_egress_rule_takes_the_place_of_the_implicit_one(account: Any) -> None:
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g", "VpcId": {"Ref": "Vpc"}}}
    rule = {"GroupId": {"Ref": "G"}, "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/8"}
    egress = {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": rule}

    stack = account.create({"Vpc": _VPC, "G": group, "E": egress})

    group_id = account.physical(stack["StackName"])["G"]
    found = account.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    assert [(p["IpProtocol"], p["IpRanges"]) for p in found["IpPermissionsEgress"]] == [
        ("tcp", [{"CidrIp": "10.0.0.0/8"}])
    ]


def test_tags_of_the_stack_reach_its_resources(account: Any) -> None:
    body = json.dumps({"Resources": {"Vpc": _VPC}})
    account.client("cloudformation").create_stack(
        StackName="tagged", TemplateBody=body, Tags=[{"Key": "team", "Value": "blue"}]
    )

    vpc = account.client("ec2").describe_vpcs(VpcIds=[account.physical("tagged")["Vpc"]])["Vpcs"][0]
    assert vpc["Tags"] == [{"Key": "team", "Value": "blue"}]


def test_an_action_that_is_not_there_is_refused_and_not_a_server_error(account: Any) -> None:
    with pytest.raises(ClientError, match="does not have the action ListStackSets"):
        account.client("cloudformation").list_stack_sets()


def test_the_server_listens_on_loopback_alone(account: Any, server: subprocess.Popen[str]) -> None:
    listeners = listening_addresses(server.pid)

    assert listeners == {"127.0.0.1"}
