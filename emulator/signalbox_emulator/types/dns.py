"""Route 53 record sets."""

from typing import Any

from signalbox_emulator.types.kind import Kind, Target
from signalbox_emulator.types.shapes import NoHome

JsonObject = dict[str, Any]

_OWN = {"HostedZoneId", "Comment"}
"""Properties of the change, not of the record set."""
_COPIED = {"Name", "Type", "TTL", "AliasTarget", "SetIdentifier", "Weight", "Region", "Failover", "HealthCheckId"}


def _record_set(target: Target) -> JsonObject:
    properties = target.properties
    if extra := sorted(set(properties) - _OWN - _COPIED - {"ResourceRecords"}):
        raise NoHome(f"AWS::Route53::RecordSet.{', '.join(extra)} has no home in this emulator's table")
    record = {name: properties[name] for name in _COPIED & properties.keys()}
    if "AliasTarget" in record:
        record["AliasTarget"] = {"EvaluateTargetHealth": False} | record["AliasTarget"]
    if "ResourceRecords" in properties:
        record["ResourceRecords"] = [{"Value": value} for value in properties["ResourceRecords"]]
    return record


def _send(target: Target, action: str) -> None:
    changes = {"Changes": [{"Action": action, "ResourceRecordSet": _record_set(target)}]}
    zone = target.properties["HostedZoneId"]
    target.send("route53", "change_resource_record_sets", {"HostedZoneId": zone, "ChangeBatch": changes})


def _create(target: Target) -> str:
    _send(target, "CREATE")
    return target.properties["Name"]


def _read(target: Target) -> JsonObject:
    properties, route53 = target.properties, target.client("route53")
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=properties["HostedZoneId"])
    for page in pages:
        for record in page["ResourceRecordSets"]:
            if (record["Name"].rstrip("."), record["Type"]) == (properties["Name"].rstrip("."), properties["Type"]):
                return record | {"HostedZoneId": properties["HostedZoneId"], "Name": properties["Name"]}
    return {}


KINDS = (
    Kind(
        type="AWS::Route53::RecordSet",
        service="route53",
        create=_create,
        read=_read,
        reads={"ResourceRecords": "ResourceRecords[].Value"},
        delete=lambda target, _: _send(target, "DELETE"),
        change={name: lambda target, _: _send(target, "UPSERT") for name in ("TTL", "AliasTarget", "ResourceRecords")},
        replace=frozenset({"HostedZoneId", "Name", "Type"}),
        at_deletion=frozenset({"Comment"}),
    ),
)
