"""KMS keys, their replicas and aliases, ACM certificates."""

from typing import Any

from signalbox_emulator.types.kind import ALL, ID, VALUE, Call, Kind, Read, Reader, Step, TagCalls, Target

JsonObject = dict[str, Any]

_DEFAULT_WAIT = 30
"""Days until a deleted key is gone, when the template does not say."""


def _tags(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags]


def _set_rotation(target: Target, _value: Any) -> None:
    kms, properties = target.client("kms"), target.properties
    if str(properties.get("EnableKeyRotation", False)).lower() == "true":
        period = properties.get("RotationPeriodInDays")
        kms.enable_key_rotation(KeyId=target.id, **({"RotationPeriodInDays": int(period)} if period else {}))
    else:
        kms.disable_key_rotation(KeyId=target.id)


def _schedule_deletion(target: Target, _policy: str) -> None:
    days = int(target.properties.get("PendingWindowInDays", _DEFAULT_WAIT))
    target.client("kms").schedule_key_deletion(KeyId=target.id, PendingWindowInDays=days)


def _read_alias(target: Target) -> Any:
    pages = target.client("kms").get_paginator("list_aliases").paginate()
    return next(a for page in pages for a in page["Aliases"] if a["AliasName"] == target.id)


def _add_key_tags(target: Target, tags: list[dict[str, str]]) -> None:
    target.client("kms").tag_resource(KeyId=target.id, Tags=_tags(tags))


def _set_enabled(target: Target, value: Any) -> None:
    call = "enable_key" if str(value).lower() == "true" else "disable_key"
    getattr(target.client("kms"), call)(KeyId=target.id)


def _replicate(target: Target) -> str:
    """Ask the primary key's region for a replica in this one; moto wants the id, and copies the rest of the primary."""
    _, _, _, region, _, key = target.properties["PrimaryKeyArn"].split(":")
    answer = target.clients("kms", region).replicate_key(KeyId=key.split("/")[-1], ReplicaRegion=target.region)
    return answer["ReplicaKeyMetadata"]["KeyId"]


_ROTATION = Read("get_key_rotation_status", {"KeyId": ID}, "KeyRotationEnabled")
_READS: dict[str, Reader] = {
    "KeyPolicy": Read("get_key_policy", {"KeyId": ID, "PolicyName": "default"}, "Policy"),
    "Tags": Read("list_resource_tags", {"KeyId": ID}, "Tags[].{Key: TagKey, Value: TagValue}"),
}
_CHANGES: dict[str, Step] = {
    "Description": Call("update_key_description", {"KeyId": ID, "Description": VALUE}),
    "KeyPolicy": Call("put_key_policy", {"KeyId": ID, "PolicyName": "default", "Policy": VALUE}),
}
_TAGS = TagCalls(
    add=_add_key_tags,
    remove=lambda target, tags: target.client("kms").untag_resource(
        KeyId=target.id, TagKeys=[tag["Key"] for tag in tags]
    ),
    at_creation=False,
)


def _request_certificate(target: Target) -> str:
    """Request it; where an option names a hosted zone, write the record of the validation there.

    So does CloudFormation; and as there, the record stays when the certificate is deleted.
    """
    options: list[JsonObject] = target.properties.get("DomainValidationOptions", [])
    zones = {option["DomainName"]: option["HostedZoneId"] for option in options if "HostedZoneId" in option}
    rest = [option for option in options if "HostedZoneId" not in option]
    sent = {name: value for name, value in target.properties.items() if name != "DomainValidationOptions"}
    sent |= {"DomainValidationOptions": rest} if rest else {}
    arn: str = target.send("acm", "request_certificate", sent)["CertificateArn"]
    for validation in target.client("acm").describe_certificate(CertificateArn=arn)["Certificate"][
        "DomainValidationOptions"
    ]:
        if validation["DomainName"] in zones:
            change = {"Action": "UPSERT", "ResourceRecordSet": _record(validation)}
            target.client("route53").change_resource_record_sets(
                HostedZoneId=zones[validation["DomainName"]], ChangeBatch={"Changes": [change]}
            )
    return arn


def _record(validation: JsonObject) -> JsonObject:
    said = validation["ResourceRecord"]
    return {"Name": said["Name"], "Type": said["Type"], "TTL": 300, "ResourceRecords": [{"Value": said["Value"]}]}


def _validated_in(target: Target) -> list[JsonObject]:
    """Return the options as they were sent, of those domains whose validation is where they say."""
    validations = target.client("acm").describe_certificate(CertificateArn=target.id)["Certificate"]
    found: list[JsonObject] = []
    for validation in validations["DomainValidationOptions"]:
        for option in target.properties["DomainValidationOptions"]:
            if option["DomainName"] != validation["DomainName"]:
                continue
            zone = option.get("HostedZoneId")
            if zone is None:
                found.append(validation)
            elif _has_record(target.client("route53"), zone, _record(validation)):
                found.append({"DomainName": option["DomainName"], "HostedZoneId": zone})
    return found


def _has_record(route53: Any, zone: str, wanted: JsonObject) -> bool:
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    records = (record for page in pages for record in page["ResourceRecordSets"])
    return any(
        (record["Name"].rstrip("."), record["ResourceRecords"])
        == (wanted["Name"].rstrip("."), wanted["ResourceRecords"])
        for record in records
        if record["Type"] == wanted["Type"]
    )


KINDS = (
    Kind(
        type="AWS::KMS::Key",
        service="kms",
        create="create_key",
        ref="KeyMetadata.KeyId",
        rename={"KeyPolicy": "Policy"},
        read=Read("describe_key", {"KeyId": ID}, "KeyMetadata"),
        reads={
            **_READS,
            "EnableKeyRotation": _ROTATION,
            "RotationPeriodInDays": Read("get_key_rotation_status", {"KeyId": ID}, "RotationPeriodInDays"),
        },
        delete=_schedule_deletion,
        after={"EnableKeyRotation": _set_rotation, "RotationPeriodInDays": _set_rotation, "Enabled": _set_enabled},
        change=_CHANGES,
        at_deletion=frozenset({"PendingWindowInDays"}),
        replace=frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Origin"}),
        attributes={"Arn": "Arn", "KeyId": "KeyId"},
        tags=_TAGS,
    ),
    Kind(
        type="AWS::KMS::ReplicaKey",
        service="kms",
        create=_replicate,
        read=Read("describe_key", {"KeyId": ID}, "KeyMetadata"),
        reads={**_READS, "PrimaryKeyArn": "MultiRegionConfiguration.PrimaryKey.Arn"},
        delete=_schedule_deletion,
        after={"Enabled": _set_enabled, **_CHANGES},
        at_deletion=frozenset({"PendingWindowInDays"}),
        replace=frozenset({"PrimaryKeyArn"}),
        attributes={"Arn": "Arn", "KeyId": "KeyId"},
        tags=_TAGS,
    ),
    Kind(
        type="AWS::KMS::Alias",
        service="kms",
        create="create_alias",
        ref=lambda target: target.properties["AliasName"],
        read=_read_alias,
        # The template may name the key by ARN; the API answers the id alone.
        expects={"TargetKeyId": lambda target: target.properties["TargetKeyId"].split("/")[-1]},
        delete=Call("delete_alias", {"AliasName": ID}),
        modify=Call("update_alias", {"AliasName": ID}),
        replace=frozenset({"AliasName"}),
        attributes={"AliasArn": "AliasArn", "TargetKeyId": "TargetKeyId"},
    ),
    Kind(
        type="AWS::CertificateManager::Certificate",
        service="acm",
        create=_request_certificate,
        read=Read("describe_certificate", {"CertificateArn": ID}, "Certificate"),
        reads={
            "DomainValidationOptions": _validated_in,
            "ValidationMethod": "DomainValidationOptions[0].ValidationMethod",
            "Tags": Read("list_tags_for_certificate", {"CertificateArn": ID}, "Tags"),
        },
        delete=Call("delete_certificate", {"CertificateArn": ID}),
        replace=ALL,
        tags=TagCalls(
            add=Call("add_tags_to_certificate", {"CertificateArn": ID, "Tags": VALUE}),
            remove=Call("remove_tags_from_certificate", {"CertificateArn": ID, "Tags": VALUE}),
        ),
    ),
)
