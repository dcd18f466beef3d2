"""The records of CloudFormation in the shapes of its API's answers."""

from typing import Any

from signalbox_emulator.cloudformation.records import ChangeSet, Event, Resource, Stack

JsonObject = dict[str, Any]


def stack(record: Stack) -> JsonObject:
    shown = record.current or record.requested
    parameters = shown.parameters if shown else {}
    return {
        "StackId": record.id,
        "StackName": record.name,
        "ChangeSetId": record.change_set,
        "Description": shown.template.get("Description") if shown else None,
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": parameter.given, "ResolvedValue": parameter.resolved}
            for name, parameter in parameters.items()
        ],
        "CreationTime": record.created,
        "LastUpdatedTime": record.updated,
        "StackStatus": record.status,
        "StackStatusReason": record.reason,
        "DisableRollback": False,
        "NotificationARNs": record.notification_arns,
        "Capabilities": record.capabilities,
        "Outputs": [
            {
                "OutputKey": name,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": output.export,
            }
            for name, output in record.outputs.items()
        ],
        "RoleARN": record.role,
        "Tags": _tags(shown.tags if shown else {}),
        "EnableTerminationProtection": record.protected,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }


def stack_summary(record: Stack) -> JsonObject:
    whole = stack(record)
    kept = ("StackId", "StackName", "CreationTime", "LastUpdatedTime", "StackStatus", "StackStatusReason")
    return {name: whole[name] for name in kept} | {"DriftInformation": whole["DriftInformation"]}


def event(record: Event, owner: Stack) -> JsonObject:
    return {
        "StackId": owner.id,
        "EventId": record.event_id,
        "StackName": owner.name,
        "LogicalResourceId": record.logical,
        "PhysicalResourceId": record.id,
        "ResourceType": record.type,
        "Timestamp": record.at,
        "ResourceStatus": record.status,
        "ResourceStatusReason": record.reason,
    }


def resource(record: Resource, owner: Stack) -> JsonObject:
    """Return a resource for DescribeStackResource, DescribeStackResources and ListStackResources alike."""
    return {
        "StackName": owner.name,
        "StackId": owner.id,
        "LogicalResourceId": record.logical,
        "PhysicalResourceId": record.id,
        "ResourceType": record.type,
        "Timestamp": record.updated,
        "LastUpdatedTimestamp": record.updated,
        "ResourceStatus": record.status,
        "ResourceStatusReason": record.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


def change_set_summary(record: ChangeSet) -> JsonObject:
    return {
        "StackId": record.stack.id,
        "StackName": record.stack.name,
        "ChangeSetId": record.id,
        "ChangeSetName": record.name,
        "ExecutionStatus": record.execution_status,
        "Status": record.status,
        "StatusReason": record.reason,
        "CreationTime": record.created,
        "Description": record.description,
    }


def change_set(record: ChangeSet) -> JsonObject:
    return change_set_summary(record) | {
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in record.desired.given.items()],
        "NotificationARNs": record.stack.notification_arns,
        "Capabilities": record.stack.capabilities,
        "Tags": _tags(record.desired.tags),
        "Changes": record.changes,
    }


def template_summary(template: JsonObject) -> JsonObject:
    declared: JsonObject = template.get("Parameters", {})
    return {
        "Parameters": [
            {
                "ParameterKey": name,
                "DefaultValue": str(spec["Default"]) if "Default" in spec else None,
                "ParameterType": spec.get("Type", "String"),
                "NoEcho": bool(spec.get("NoEcho", False)),
                "Description": spec.get("Description"),
            }
            for name, spec in declared.items()
        ],
        "Description": template.get("Description"),
        "ResourceTypes": sorted({spec["Type"] for spec in template["Resources"].values()}),
        "Version": template.get("AWSTemplateFormatVersion"),
        "Metadata": None,
    }


def _tags(tags: dict[str, str]) -> list[JsonObject]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
