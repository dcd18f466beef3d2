"""EventBridge rules with their targets, and Scheduler's schedules and groups."""

from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target
from signalbox_emulator.types.tagging import read_tags, tag_calls

JsonObject = dict[str, Any]

_GROUP_ARN = "arn:aws:scheduler:{region}:{account}:schedule-group/{id}"


def _bus(target: Target) -> JsonObject:
    return {"EventBusName": target.properties.get("EventBusName", "default")}


def _rule_arn(target: Target) -> str:
    return target.client("events").describe_rule(Name=target.id, **_bus(target))["Arn"]


def _put_rule(target: Target) -> None:
    sent = {name: value for name, value in target.properties.items() if name not in {"Targets", "Tags"}}
    target.send("events", "put_rule", sent)


def _create_rule(target: Target) -> str:
    """Put the rule, with its tags; its targets come after."""
    tags = {"Tags": target.properties["Tags"]} if "Tags" in target.properties else {}
    sent = {name: value for name, value in target.properties.items() if name != "Targets"}
    target.send("events", "put_rule", sent | tags)
    return target.properties["Name"]


def _set_targets(target: Target, value: list[JsonObject]) -> None:
    wanted = {item["Id"] for item in value}
    if gone := sorted({item["Id"] for item in target.former.get("Targets", [])} - wanted):
        target.client("events").remove_targets(Rule=target.id, Ids=gone, **_bus(target))
    answer = target.send("events", "put_targets", {"Rule": target.id, "Targets": value, **_bus(target)})
    if answer["FailedEntries"]:
        raise RuntimeError(f"target {answer['FailedEntries'][0]['TargetId']}: {answer['FailedEntries'][0]}")


def _read_targets(target: Target) -> list[JsonObject]:
    return target.client("events").list_targets_by_rule(Rule=target.id, **_bus(target))["Targets"]


def _delete_rule(target: Target, _policy: str) -> None:
    events = target.client("events")
    if ids := [item["Id"] for item in _read_targets(target)]:
        events.remove_targets(Rule=target.id, Ids=ids, **_bus(target))
    events.delete_rule(Name=target.id, **_bus(target))


def _group(target: Target) -> JsonObject:
    return {"GroupName": target.properties["GroupName"]} if "GroupName" in target.properties else {}


KINDS = (
    Kind(
        type="AWS::Events::Rule",
        service="events",
        create=_create_rule,
        name="Name",
        name_length=64,
        read=lambda target: target.client("events").describe_rule(Name=target.id, **_bus(target)),
        reads={"Targets": _read_targets, "Tags": read_tags(_rule_arn, member="ResourceARN")},
        delete=_delete_rule,
        after={"Targets": _set_targets},
        modify=_put_rule,
        replace=frozenset({"Name", "EventBusName"}),
        attributes={"Arn": "Arn"},
        tags=tag_calls(_rule_arn, member="ResourceARN"),
    ),
    Kind(
        type="AWS::Scheduler::ScheduleGroup",
        service="scheduler",
        create="create_schedule_group",
        ref=lambda target: target.properties["Name"],
        name="Name",
        name_length=64,
        read=Read("get_schedule_group", {"Name": ID}, "@"),
        reads={"Tags": read_tags(_GROUP_ARN)},
        delete=Call("delete_schedule_group", {"Name": ID}),
        replace=frozenset({"Name"}),
        attributes={"Arn": "Arn", "State": "State"},
        tags=tag_calls(_GROUP_ARN),
    ),
    Kind(
        type="AWS::Scheduler::Schedule",
        service="scheduler",
        create="create_schedule",
        ref=lambda target: target.properties["Name"],
        name="Name",
        name_length=64,
        read=lambda target: target.client("scheduler").get_schedule(Name=target.id, **_group(target)),
        delete=lambda target, _: target.client("scheduler").delete_schedule(Name=target.id, **_group(target)),
        modify=Call("update_schedule", {"Name": ID}),
        whole=True,
        replace=frozenset({"Name", "GroupName"}),
        attributes={"Arn": "Arn"},
    ),
)
