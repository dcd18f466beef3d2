"""Route 53 record sets and health checks, and the query logs of a VPC's resolver."""

from typing import Any
from uuid import uuid4

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ALL, ID, Call, Kind, Read, Target
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


def _create_check(target: Target) -> str:
    sent = {"CallerReference": uuid4().hex, "HealthCheckConfig": target.properties["HealthCheckConfig"]}
    check = target.send("route53", "create_health_check", sent)["HealthCheck"]["Id"]
    if tags := target.properties.get("HealthCheckTags"):
        target.client("route53").change_tags_for_resource(ResourceType="healthcheck", ResourceId=check, AddTags=tags)
    return check


def _change_check(target: Target, value: JsonObject) -> None:
    fixed = {"Type", "MeasureLatency", "RequestInterval"}
    settings = {name: member for name, member in value.items() if name not in fixed}
    target.send("route53", "update_health_check", {"HealthCheckId": target.id, **settings})


KINDS = (
    Kind(
        type="AWS::Route53::HealthCheck",
        service="route53",
        create=_create_check,
        read=Read("get_health_check", {"HealthCheckId": ID}, "HealthCheck"),
        reads={
            "HealthCheckTags": Read(
                "list_tags_for_resource", {"ResourceType": "healthcheck", "ResourceId": ID}, "ResourceTagSet.Tags"
            )
        },
        delete=Call("delete_health_check", {"HealthCheckId": ID}),
        change={"HealthCheckConfig": _change_check},
        attributes={"HealthCheckId": "Id"},
    ),
    Kind(
        type="AWS::Route53Resolver::ResolverQueryLoggingConfig",
        service="route53resolver",
        create=lambda target: target.send(
            "route53resolver",
            "create_resolver_query_log_config",
            {**target.properties, "CreatorRequestId": uuid4().hex},
        )["ResolverQueryLogConfig"]["Id"],
        name="Name",
        read=Read("get_resolver_query_log_config", {"ResolverQueryLogConfigId": ID}, "ResolverQueryLogConfig"),
        # moto can neither delete one nor end its association.
        delete=lambda target, _: unsent(
            "route53resolver", "delete_resolver_query_log_config", "ResolverQueryLogConfigId"
        )(target, target.id),
        replace=ALL,
        attributes={"Id": "Id", "Arn": "Arn"},
    ),
    Kind(
        type="AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
        service="route53resolver",
        create="associate_resolver_query_log_config",
        ref="ResolverQueryLogConfigAssociation.Id",
        read=Read(
            "get_resolver_query_log_config_association",
            {"ResolverQueryLogConfigAssociationId": ID},
            "ResolverQueryLogConfigAssociation",
        ),
        delete=lambda target, _: unsent("route53resolver", "disassociate_resolver_query_log_config")(
            target, target.properties
        ),
        replace=ALL,
        attributes={"Id": "Id"},
    ),
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
