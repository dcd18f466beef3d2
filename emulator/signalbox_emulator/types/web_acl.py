"""WAF: web ACLs, IP sets, what they stand before, and their logs."""

from typing import Any

from signalbox_emulator.types.kind import ALL, ID, Call, Kind, Read, Target, prop
from signalbox_emulator.types.tagging import read_tags, tag_calls

JsonObject = dict[str, Any]


def _parts(target: Target) -> JsonObject:
    """Return what names a web ACL or an IP set in the API: its physical id, taken apart."""
    name, identifier, scope = target.id.split("|")
    return {"Name": name, "Id": identifier, "Scope": scope}


def _get(noun: str, member: str) -> Any:
    def read(target: Target) -> JsonObject:
        answer = target.send("wafv2", f"get_{noun}", _parts(target))
        return {**answer[member], "LockToken": answer["LockToken"], "Scope": _parts(target)["Scope"]}

    return read


def _resource(noun: str, member: str, **more: Any) -> Kind:
    """Return the row of a resource of WAF that is named by name, id and scope, and changed under a lock token."""
    get = _get(noun, member)

    def arn(target: Target) -> str:
        return get(target)["ARN"]

    def create(target: Target) -> str:
        summary = target.send("wafv2", f"create_{noun}", target.properties)["Summary"]
        return f"{summary['Name']}|{summary['Id']}|{target.properties['Scope']}"

    def update(target: Target) -> None:
        sent = {name: value for name, value in target.properties.items() if name not in {"Tags", "IPAddressVersion"}}
        token = get(target)["LockToken"]
        target.send("wafv2", f"update_{noun}", {**sent, **_parts(target), "LockToken": token})

    def delete(target: Target, _policy: str) -> None:
        target.send("wafv2", f"delete_{noun}", {**_parts(target), "LockToken": get(target)["LockToken"]})

    return Kind(
        service="wafv2",
        create=create,
        name="Name",
        name_length=128,
        read=get,
        reads={"Tags": read_tags(arn, member="ResourceARN", path="TagInfoForResource.TagList")},
        delete=delete,
        modify=update,
        replace=frozenset({"Name", "Scope", "IPAddressVersion"}),
        tags=tag_calls(arn, member="ResourceARN"),
        **more,
    )


def _read_association(target: Target) -> JsonObject:
    resource = target.properties["ResourceArn"]
    found = target.client("wafv2").get_web_acl_for_resource(ResourceArn=resource).get("WebACL", {})
    return {"ResourceArn": resource, "WebACLArn": found.get("ARN")}


def _associate(target: Target) -> str:
    target.send("wafv2", "associate_web_acl", target.properties)
    return f"{target.properties['WebACLArn']}|{target.properties['ResourceArn']}"


def _put_logging(target: Target) -> str:
    target.send("wafv2", "put_logging_configuration", {"LoggingConfiguration": target.properties})
    return target.properties["ResourceArn"]


def _change_logging(target: Target) -> None:
    _put_logging(target)


KINDS = (
    _resource(
        "web_acl",
        "WebACL",
        type="AWS::WAFv2::WebACL",
        attributes={"Arn": "ARN", "Id": "Id", "Capacity": "Capacity", "LabelNamespace": "LabelNamespace"},
    ),
    _resource("ip_set", "IPSet", type="AWS::WAFv2::IPSet", attributes={"Arn": "ARN", "Id": "Id"}),
    Kind(
        type="AWS::WAFv2::WebACLAssociation",
        service="wafv2",
        create=_associate,
        read=_read_association,
        delete=Call("disassociate_web_acl", {"ResourceArn": prop("ResourceArn")}),
        replace=ALL,
    ),
    Kind(
        type="AWS::WAFv2::LoggingConfiguration",
        service="wafv2",
        create=_put_logging,
        read=Read("get_logging_configuration", {"ResourceArn": ID}, "LoggingConfiguration"),
        delete=Call("delete_logging_configuration", {"ResourceArn": ID}),
        modify=_change_logging,
        replace=frozenset({"ResourceArn"}),
    ),
)
