"""EC2 network ACLs, their entries, and which subnet has which."""

from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target
from signalbox_emulator.types.network import TAGS

JsonObject = dict[str, Any]


def _is_egress(target: Target) -> bool:
    return str(target.properties.get("Egress", False)).lower() == "true"


def _entry(target: Target) -> JsonObject:
    """Return the entry as the API takes it: its direction is not optional there, and ICMP has another name."""
    sent = {"IcmpTypeCode" if name == "Icmp" else name: value for name, value in target.properties.items()}
    return {**sent, "Egress": _is_egress(target)}


def _create_entry(target: Target) -> str:
    target.send("ec2", "create_network_acl_entry", _entry(target))
    direction = "out" if _is_egress(target) else "in"
    return f"{target.properties['NetworkAclId']}|{direction}|{target.properties['RuleNumber']}"


def _describe(target: Target, acl: str) -> JsonObject:
    return target.client("ec2").describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"][0]


def _read_entry(target: Target) -> JsonObject:
    acl = target.properties["NetworkAclId"]
    found: list[JsonObject] = _describe(target, acl)["Entries"]
    wanted = (_is_egress(target), int(target.properties["RuleNumber"]))
    entries = (entry for entry in found if (entry["Egress"], entry["RuleNumber"]) == wanted)
    return {"NetworkAclId": acl, **next(entries, dict[str, Any]())}


def _delete_entry(target: Target, _policy: str) -> None:
    properties = target.properties
    target.client("ec2").delete_network_acl_entry(
        NetworkAclId=properties["NetworkAclId"], RuleNumber=int(properties["RuleNumber"]), Egress=_is_egress(target)
    )


def _acl_of(target: Target) -> JsonObject:
    """Return the ACL that the subnet has now."""
    wanted = [{"Name": "association.subnet-id", "Values": [target.properties["SubnetId"]]}]
    return target.client("ec2").describe_network_acls(Filters=wanted)["NetworkAcls"][0]


def _association_of(target: Target) -> JsonObject:
    """Return the subnet's association as it is now; its id changes with every ACL that the subnet gets."""
    subnet = target.properties["SubnetId"]
    return next(item for item in _acl_of(target)["Associations"] if item["SubnetId"] == subnet)


def _associate(target: Target, acl: str) -> str:
    now = _association_of(target)["NetworkAclAssociationId"]
    answer = target.client("ec2").replace_network_acl_association(AssociationId=now, NetworkAclId=acl)
    return answer["NewAssociationId"]


def _change_acl(target: Target, acl: str) -> None:
    _associate(target, acl)


def _give_back(target: Target, _policy: str) -> None:
    """Give the subnet its VPC's default ACL, as CloudFormation does."""
    wanted = [{"Name": "vpc-id", "Values": [_acl_of(target)["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
    _associate(target, target.client("ec2").describe_network_acls(Filters=wanted)["NetworkAcls"][0]["NetworkAclId"])


KINDS = (
    Kind(
        type="AWS::EC2::NetworkAcl",
        service="ec2",
        create="create_network_acl",
        ref="NetworkAcl.NetworkAclId",
        read=Read("describe_network_acls", {"NetworkAclIds": [ID]}, "NetworkAcls[0]"),
        delete=Call("delete_network_acl", {"NetworkAclId": ID}),
        replace=frozenset({"VpcId"}),
        attributes={"Id": "NetworkAclId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::NetworkAclEntry",
        service="ec2",
        create=_create_entry,
        read=_read_entry,
        reads={"Icmp": "IcmpTypeCode"},
        delete=_delete_entry,
        modify=lambda target: target.send("ec2", "replace_network_acl_entry", _entry(target)),
        replace=frozenset({"NetworkAclId", "RuleNumber", "Egress"}),
        attributes={"Id": lambda target: target.id},
    ),
    Kind(
        type="AWS::EC2::SubnetNetworkAclAssociation",
        service="ec2",
        create=lambda target: _associate(target, target.properties["NetworkAclId"]),
        read=_association_of,
        delete=_give_back,
        # AWS replaces it; the subnet's association is the same thing either way.
        change={"NetworkAclId": _change_acl},
        replace=frozenset({"SubnetId"}),
        attributes={"AssociationId": "NetworkAclAssociationId"},
    ),
)
