"""How S3's API says what a template says about a bucket: other names, other nesting. Pure."""

from typing import Any

from signalbox_emulator.types.shapes import NoHome

JsonObject = dict[str, Any]

_EXPIRY = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
_FILTERS = {
    "ObjectSizeGreaterThan": "ObjectSizeGreaterThan",
    "ObjectSizeLessThan": "ObjectSizeLessThan",
    "Prefix": "Prefix",
}


def encryption(value: JsonObject) -> JsonObject:
    """Return the API's form: one member has another name."""
    rules = [
        {
            ("ApplyServerSideEncryptionByDefault" if k == "ServerSideEncryptionByDefault" else k): v
            for k, v in rule.items()
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def lifecycle(value: JsonObject) -> JsonObject:
    """Return the arguments of the put call: the rules, and beside them the least size of what is moved."""
    rest = {name: member for name, member in value.items() if name != "Rules"}
    return {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}, **rest}


def lifecycle_read(value: JsonObject) -> JsonObject:
    """Return the same as the get call answers it, flat."""
    arguments = lifecycle(value)
    return {**arguments.pop("LifecycleConfiguration"), **arguments}


def _lifecycle_rule(rule: JsonObject) -> JsonObject:
    """Return the API's form of a rule: expiry is nested, filters are one, and a rule for all objects says so."""
    said = dict(rule)
    api: JsonObject = {"Filter": _filter(said)}
    if expiry := {member: said.pop(name) for name, member in _EXPIRY.items() if name in said}:
        api["Expiration"] = expiry
    if "Id" in said:
        api["ID"] = said.pop("Id")
    if "Transitions" in said:
        api["Transitions"] = [_transition(item, "Days") for item in said.pop("Transitions")]
    if "NoncurrentVersionTransitions" in said:
        moves = said.pop("NoncurrentVersionTransitions")
        api["NoncurrentVersionTransitions"] = [_transition(item, "NoncurrentDays") for item in moves]
    return api | said


def _filter(said: JsonObject) -> JsonObject:
    """Take the filters out of `said`, and return them: one alone, several under And."""
    tags = said.pop("TagFilters", [])
    plain = {member: said.pop(name) for name, member in _FILTERS.items() if name in said}
    if not tags and len(plain) <= 1:
        return plain or {"Prefix": ""}
    if len(tags) == 1 and not plain:
        return {"Tag": tags[0]}
    return {"And": plain | ({"Tags": tags} if tags else {})}


def _transition(item: JsonObject, days: str) -> JsonObject:
    names = {"TransitionInDays": days, "TransitionDate": "Date"}
    return {names.get(name, name): member for name, member in item.items()}


def logging(value: JsonObject, bucket: str) -> JsonObject:
    """Return the API's form; without a destination a bucket logs into itself."""
    names = {"DestinationBucketName": "TargetBucket", "LogFilePrefix": "TargetPrefix"}
    said = {names.get(name, name): member for name, member in value.items()}
    return {"TargetBucket": bucket, "TargetPrefix": ""} | said


def tiering(value: JsonObject) -> JsonObject:
    """Return the API's form of one configuration of intelligent tiering: filters are nested, and may be none."""
    said = dict(value)
    filters = _filter(said) if {"Prefix", "TagFilters"} & said.keys() else None
    return said | ({"Filter": filters} if filters else {})


def notification(value: JsonObject) -> JsonObject:
    """Return the API's form: events are lists, and EventBridge is on by being named."""
    api: JsonObject = {}
    for name, member in value.items():
        if name == "EventBridgeConfiguration":
            if str(member.get("EventBridgeEnabled", True)).lower() == "true":
                api[name] = {}
        elif name in {"TopicConfigurations", "QueueConfigurations"}:
            api[name] = [_notified(item) for item in member]
        else:
            raise NoHome(f"AWS::S3::Bucket.NotificationConfiguration.{name} has no home in this emulator's table")
    return api


def _notified(item: JsonObject) -> JsonObject:
    names = {"Topic": "TopicArn", "Queue": "QueueArn"}
    said = {names.get(name, name): member for name, member in item.items()}
    said["Events"] = [said.pop("Event")]
    return said
