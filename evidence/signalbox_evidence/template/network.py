"""The network as the template writes it: the graph of subnets, routes and security groups, over all stacks."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.network import Endpoint, FlowLog, Peer, Route, Rule, SecurityGroup, Subnet, Via, Vpc
from signalbox_evidence.facts.world import Fact, Unknown, untold
from signalbox_evidence.template.resources import Resource, Resources, number, text

_VIA = (
    ("NatGatewayId", Via.NAT),
    ("VpcEndpointId", Via.ENDPOINT),
    ("EgressOnlyInternetGatewayId", Via.INTERNET),
    ("GatewayId", Via.INTERNET),
    ("TransitGatewayId", Via.OTHER),
    ("VpcPeeringConnectionId", Via.OTHER),
    ("CarrierGatewayId", Via.OTHER),
    ("CoreNetworkArn", Via.OTHER),
    ("InstanceId", Via.OTHER),
    ("LocalGatewayId", Via.OTHER),
    ("NetworkInterfaceId", Via.OTHER),
)
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_PEERS = (
    ("SourceSecurityGroupId", Peer.GROUP),
    ("DestinationSecurityGroupId", Peer.GROUP),
    ("CidrIp", Peer.CIDR),
    ("CidrIpv6", Peer.CIDR),
    ("SourcePrefixListId", Peer.PREFIX_LIST),
    ("DestinationPrefixListId", Peer.PREFIX_LIST),
)
_RULE_TYPES = ("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
_VPC, _SUBNET, _GROUP = "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"
_LINK_TYPES = (
    "AWS::EC2::VPCPeeringConnection",
    "AWS::EC2::TransitGatewayAttachment",
    "AWS::EC2::TransitGatewayVpcAttachment",
    "AWS::EC2::VPNGateway",
    "AWS::EC2::VPNConnection",
)


def vpcs(resources: Resources) -> list[Vpc]:
    links = tuple(link.id for link in resources.of(*_LINK_TYPES))
    return [Vpc(subject=vpc.subject, outside_links=links) for vpc in resources.of(_VPC)] + [
        Vpc(subject=subject, outside_links=given) for subject, given in resources.brought_along(_VPC)
    ]


def endpoints(resources: Resources) -> list[Endpoint]:
    return [
        Endpoint(subject=endpoint.subject, service=endpoint.text("ServiceName"))
        for endpoint in resources.of("AWS::EC2::VPCEndpoint")
    ]


def _route(route: Resource) -> Route | Unknown:
    destination = next((text(route.get(name)) for name in _DESTINATIONS if route.get(name) is not None), None)
    for name, via in _VIA:
        target = text(route.get(name))
        if isinstance(target, Unknown):
            return target
        if target is not None:
            return Route(str(destination), via, target)
    return Unknown(f"{route.id}: wanted a target of a known kind")


def _routes(resources: Resources, subnet: Resource) -> Fact[tuple[Route, ...]]:
    tables: list[str] = []
    for association in resources.of("AWS::EC2::SubnetRouteTableAssociation"):
        if association.text("SubnetId") == subnet.id:
            table = association.text("RouteTableId")
            if isinstance(table, Unknown):
                return table
            tables.append(str(table))
    if not tables:
        return None
    found: list[Route] = []
    for route in resources.of("AWS::EC2::Route"):
        table = route.text("RouteTableId")
        if isinstance(table, Unknown):
            return table  # it may be this subnet's
        if table in tables:
            read = _route(route)
            if isinstance(read, Unknown):
                return read
            found.append(read)
    return tuple(found)


def subnets(resources: Resources) -> list[Subnet]:
    return [
        Subnet(subject=subnet.subject, zone=subnet.text("AvailabilityZone"), routes=_routes(resources, subnet))
        for subnet in resources.of(_SUBNET)
    ] + [Subnet(subject=subject, zone=given, routes=given) for subject, given in resources.brought_along(_SUBNET)]


def flow_logs(resources: Resources) -> list[FlowLog]:
    return [
        FlowLog(
            subject=log.subject,
            resource_id=log.text("ResourceId"),
            traffic=log.text("TrafficType"),
            active=True,  # a flow log that the template declares is on; whether it delivers, only the account tells
            log_group=log.text("LogGroupName"),
        )
        for log in resources.of("AWS::EC2::FlowLog")
    ] + [
        FlowLog(subject=vpc, resource_id=vpc.id, traffic=given, active=given, log_group=given)
        for vpc, given in resources.brought_along(_VPC)
    ]


def _rule(rule: dict[str, Any], where: str) -> Rule | Unknown:
    for name, peer in _PEERS:
        value = text(rule.get(name))
        if value is None:
            continue
        first, last = number(rule.get("FromPort"), where), number(rule.get("ToPort"), where)
        for part in (value, first, last):
            if isinstance(part, Unknown):
                return part
        if peer is Peer.CIDR and "${" in str(value):
            return Unknown(f"{where}: the address {value} is known only after deployment")
        protocol = str(rule.get("IpProtocol"))
        if protocol == "-1":
            first = last = None
        return Rule(peer, str(value), protocol, *(p if isinstance(p, int) else None for p in (first, last)))
    return Unknown(f"{where}: wanted a peer of a known kind")


def _inline(group: Resource, direction: str) -> list[Rule | Unknown] | None:
    rules = group.get(f"SecurityGroup{direction}")
    if rules is None:
        return None
    if isinstance(rules, Unknown):
        return [rules]
    return [_rule(rule, group.id) for rule in cast("list[dict[str, Any]]", rules)]


def _standalone(resources: Resources, group: Resource, direction: str) -> list[Rule | Unknown]:
    found: list[Rule | Unknown] = []
    for rule in resources.of(f"AWS::EC2::SecurityGroup{direction}"):
        target = rule.text("GroupId")
        if isinstance(target, Unknown):
            found.append(target)  # it may be this group
        elif target == group.id:
            found.append(_rule({name: rule.get(name) for name in rule.raw["Properties"]}, rule.id))
    return found


def _known(rules: list[Rule | Unknown]) -> Fact[tuple[Rule, ...]]:
    return untold(rules) or tuple(
        sorted((rule for rule in rules if isinstance(rule, Rule)), key=lambda rule: rule.text)
    )


def _egress(resources: Resources, group: Resource) -> Fact[tuple[Rule, ...]]:
    """None when the group itself says nothing: EC2 then gives it a rule that allows everything."""
    inline = _inline(group, "Egress")
    return None if inline is None else _known(inline + _standalone(resources, group, "Egress"))


def _mentions(value: Any, resource_id: str) -> bool:
    if isinstance(value, dict):
        return any(_mentions(item, resource_id) for item in cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        return any(_mentions(item, resource_id) for item in cast("list[Any]", value))
    return text(value) == resource_id


def _used_by(resources: Resources, group: Resource) -> tuple[str, ...]:
    users = {
        resource.type
        for resource in resources
        if resource.type not in _RULE_TYPES
        and any(_mentions(resource.get(name), group.id) for name in resource.raw.get("Properties", {}))
    }
    return tuple(sorted(users))


def security_groups(resources: Resources) -> list[SecurityGroup]:
    return [
        SecurityGroup(
            subject=group.subject,
            declared=True,
            ingress=_known((_inline(group, "Ingress") or []) + _standalone(resources, group, "Ingress")),
            egress=_egress(resources, group),
            used_by=_used_by(resources, group),
        )
        for group in resources.of(_GROUP)
    ] + [
        SecurityGroup(subject=subject, declared=False, ingress=given, egress=given, used_by=given)
        for subject, given in resources.brought_along(_GROUP)
    ]
