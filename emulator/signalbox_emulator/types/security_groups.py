"""EC2 security groups and their rules, inline or standalone.

Like CloudFormation, a group keeps EC2's implicit rule (everything out) only until the template names any egress rule,
inline or standalone. The implicit rule is told from a written one by having no description.
"""

from typing import Any, Literal

from signalbox_emulator.types.kind import ALL, ID, Call, Kind, Read, Target
from signalbox_emulator.types.network import TAGS

JsonObject = dict[str, Any]
Direction = Literal["ingress", "egress"]

_PEERS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
}
"""The property that names a rule's peer -> the list in the API's permission, and the member of its one item."""

_HOMES = {"IpProtocol", "FromPort", "ToPort", "Description", "GroupId", *_PEERS}


def _permission(rule: JsonObject) -> JsonObject:
    """Return a rule of a template as the one-peer permission that EC2 takes."""
    if extra := sorted(set(rule) - _HOMES):
        raise ValueError(f"security group rule: {', '.join(extra)} has no home, wanted {', '.join(sorted(_HOMES))}")
    peers = [name for name in _PEERS if name in rule]
    if len(peers) != 1:
        raise ValueError(f"security group rule: got {len(peers)} peers, wanted exactly one of {', '.join(_PEERS)}")
    container, member = _PEERS[peers[0]]
    peer = {member: rule[peers[0]]} | ({"Description": rule["Description"]} if "Description" in rule else {})
    ports = {name: int(rule[name]) for name in ("FromPort", "ToPort") if name in rule}
    return {"IpProtocol": str(rule["IpProtocol"]), container: [peer], **ports}


def _authorize(target: Target, group: str, direction: Direction, permissions: list[JsonObject]) -> list[str]:
    ec2 = target.client("ec2")
    call = ec2.authorize_security_group_ingress if direction == "ingress" else ec2.authorize_security_group_egress
    return [
        rule["SecurityGroupRuleId"] for rule in call(GroupId=group, IpPermissions=permissions)["SecurityGroupRules"]
    ]


def _revoke(target: Target, group: str, direction: Direction, permissions: list[JsonObject]) -> None:
    ec2 = target.client("ec2")
    call = ec2.revoke_security_group_ingress if direction == "ingress" else ec2.revoke_security_group_egress
    call(GroupId=group, IpPermissions=permissions)


def _drop_implicit_rule(target: Target, group: str) -> None:
    found = target.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    implicit = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    if any(p["IpProtocol"] == "-1" and {"CidrIp": "0.0.0.0/0"} in p["IpRanges"] for p in found["IpPermissionsEgress"]):
        _revoke(target, group, "egress", [implicit])


def _set_inline(direction: Direction, name: str) -> Any:
    """Return the step that makes the group's inline rules those of property `name`, and no other rule different."""

    def step(target: Target, value: list[JsonObject]) -> None:
        before = [_permission(rule) for rule in target.former.get(name, [])]
        after = [_permission(rule) for rule in value]
        if direction == "egress":
            _drop_implicit_rule(target, target.id)
        if gone := [p for p in before if p not in after]:
            _revoke(target, target.id, direction, gone)
        if added := [p for p in after if p not in before]:
            _authorize(target, target.id, direction, added)

    return step


def _inline_rules(direction: Direction, name: str) -> Any:
    """Return the reader of property `name`: those of its rules that the group has."""

    def read(target: Target) -> list[JsonObject]:
        return [rule for rule in target.properties[name] if _find(target, target.id, direction, rule)]

    return read


def _find(target: Target, group: str, direction: Direction, rule: JsonObject) -> JsonObject | None:
    """Return `rule` as the group has it, without its description where EC2 does not answer one; None without it."""
    found = target.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    wanted = _permission(rule)
    container, member = next(_PEERS[name] for name in _PEERS if name in rule)
    for permission in found["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]:
        if all(permission.get(key) == wanted.get(key) for key in ("IpProtocol", "FromPort", "ToPort")):
            for peer in permission[container]:
                if peer[member] == wanted[container][0][member]:
                    kept = {k: v for k, v in rule.items() if k != "Description"}
                    return kept | ({"Description": peer["Description"]} if "Description" in peer else {})
    return None


def _rule_kind(direction: Direction) -> Kind:
    def create(target: Target) -> str:
        group = target.properties["GroupId"]
        if direction == "egress":
            _drop_implicit_rule(target, group)
        return _authorize(target, group, direction, [_permission(target.properties)])[0]

    return Kind(
        type=f"AWS::EC2::SecurityGroup{direction.capitalize()}",
        service="ec2",
        create=create,
        read=lambda target: _find(target, target.properties["GroupId"], direction, target.properties) or {},
        delete=lambda target, _: _revoke(
            target, target.properties["GroupId"], direction, [_permission(target.properties)]
        ),
        replace=ALL,
        attributes={"Id": lambda target: target.id},
    )


KINDS = (
    Kind(
        type="AWS::EC2::SecurityGroup",
        service="ec2",
        create="create_security_group",
        ref="GroupId",
        rename={"GroupDescription": "Description"},
        name="GroupName",
        name_length=255,
        read=Read("describe_security_groups", {"GroupIds": [ID]}, "SecurityGroups[0]"),
        delete=Call("delete_security_group", {"GroupId": ID}),
        after={
            "SecurityGroupIngress": _set_inline("ingress", "SecurityGroupIngress"),
            "SecurityGroupEgress": _set_inline("egress", "SecurityGroupEgress"),
        },
        reads={
            "SecurityGroupIngress": _inline_rules("ingress", "SecurityGroupIngress"),
            "SecurityGroupEgress": _inline_rules("egress", "SecurityGroupEgress"),
        },
        replace=frozenset({"GroupName", "GroupDescription", "VpcId"}),
        attributes={"GroupId": "GroupId", "VpcId": "VpcId", "Id": "GroupId"},
        tags=TAGS,
    ),
    _rule_kind("ingress"),
    _rule_kind("egress"),
)
