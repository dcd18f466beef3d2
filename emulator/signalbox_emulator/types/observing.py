"""CloudWatch log groups, their filters and policies, and SSM parameters."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, KEYS, VALUE, Call, Kind, Read, TagCalls, Target, prop


def _read_log_group(target: Target) -> Any:
    groups = target.client("logs").describe_log_groups(logGroupNamePrefix=target.id)["logGroups"]
    return next(group for group in groups if group["logGroupName"] == target.id)


def _group_arn(target: Target) -> str:
    return _read_log_group(target)["logGroupArn"]


def _read_filter(target: Target) -> Any:
    found: list[dict[str, Any]] = target.client("logs").describe_metric_filters(
        logGroupName=target.properties["LogGroupName"], filterNamePrefix=target.id
    )["metricFilters"]
    return next((item for item in found if item["filterName"] == target.id), None)


def _change_filter(target: Target) -> None:
    """Delete it first: moto keeps the former beside a new one of the same name."""
    logs, sent = target.client("logs"), target.fitted("logs", "put_metric_filter", target.properties)
    logs.delete_metric_filter(logGroupName=target.properties["LogGroupName"], filterName=target.id)
    logs.put_metric_filter(**sent)


def _read_policy(target: Target) -> Any:
    found: list[dict[str, Any]] = target.client("logs").describe_resource_policies()["resourcePolicies"]
    return next((item for item in found if item["policyName"] == target.id), None)


KINDS = (
    Kind(
        type="AWS::Logs::LogGroup",
        service="logs",
        create="create_log_group",
        ref=lambda target: target.properties["LogGroupName"],
        name="LogGroupName",
        name_length=512,
        read=_read_log_group,
        reads={
            "Tags": lambda target: target.client("logs").list_tags_for_resource(resourceArn=_group_arn(target))["tags"]
        },
        delete=Call("delete_log_group", {"logGroupName": ID}),
        after={"RetentionInDays": Call("put_retention_policy", {"logGroupName": ID, "retentionInDays": VALUE})},
        change={
            "DeletionProtectionEnabled": unsent(
                "logs", "put_log_group_deletion_protection", "deletionProtectionEnabled"
            ),
            "KmsKeyId": Call("associate_kms_key", {"logGroupName": ID, "kmsKeyId": VALUE}),
        },
        replace=frozenset({"LogGroupName", "LogGroupClass"}),
        attributes={"Arn": "arn"},
        tags=TagCalls(
            add=lambda target, tags: target.client("logs").tag_resource(
                resourceArn=_group_arn(target), tags={tag["Key"]: tag["Value"] for tag in tags}
            ),
            remove=lambda target, tags: target.client("logs").untag_resource(
                resourceArn=_group_arn(target), tagKeys=[tag["Key"] for tag in tags]
            ),
        ),
    ),
    Kind(
        type="AWS::Logs::MetricFilter",
        service="logs",
        create="put_metric_filter",
        ref=lambda target: target.properties["FilterName"],
        name="FilterName",
        name_length=512,
        read=_read_filter,
        delete=Call("delete_metric_filter", {"logGroupName": prop("LogGroupName"), "filterName": ID}),
        modify=_change_filter,
        replace=frozenset({"FilterName", "LogGroupName"}),
    ),
    Kind(
        type="AWS::Logs::ResourcePolicy",
        service="logs",
        create="put_resource_policy",
        ref=lambda target: target.properties["PolicyName"],
        read=_read_policy,
        delete=Call("delete_resource_policy", {"policyName": ID}),
        modify=Call("put_resource_policy", {"policyName": ID}),
        replace=frozenset({"PolicyName"}),
    ),
    Kind(
        type="AWS::SSM::Parameter",
        service="ssm",
        create="put_parameter",
        ref=lambda target: target.properties["Name"],
        name="Name",
        name_length=512,
        read=Read("get_parameter", {"Name": ID}, "Parameter"),
        reads={
            "Description": Read(
                "describe_parameters",
                {"ParameterFilters": [{"Key": "Name", "Values": [ID]}]},
                "Parameters[0].Description",
            ),
            "Tags": Read("list_tags_for_resource", {"ResourceType": "Parameter", "ResourceId": ID}, "TagList"),
        },
        delete=Call("delete_parameter", {"Name": ID}),
        modify=Call("put_parameter", {"Name": ID, "Overwrite": True}),
        replace=frozenset({"Name", "Type"}),
        attributes={"Type": "Type", "Value": "Value"},
        tags=TagCalls(
            add=Call("add_tags_to_resource", {"ResourceType": "Parameter", "ResourceId": ID, "Tags": VALUE}),
            remove=Call("remove_tags_from_resource", {"ResourceType": "Parameter", "ResourceId": ID, "TagKeys": KEYS}),
        ),
    ),
)
