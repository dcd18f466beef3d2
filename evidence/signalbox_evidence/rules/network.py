"""NET: isolation of the network."""

from collections.abc import Callable, Iterator
from functools import partial

from signalbox_evidence.catalogue import Params
from signalbox_evidence.facts.compute import Service
from signalbox_evidence.facts.database import Cluster, Instance
from signalbox_evidence.facts.edge import LoadBalancer
from signalbox_evidence.facts.identity import RolePermissions
from signalbox_evidence.facts.network import Endpoint, FlowLog, Peer, Rule, SecurityGroup, Subnet, Via, Vpc
from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL, Principal, Statement
from signalbox_evidence.facts.storage import LogGroup
from signalbox_evidence.facts.world import BroughtAlong, Fact, Subject, Unknown, World, untold
from signalbox_evidence.finding import Attribute, Finding, expect, is_false, is_true

_GROUP = "AWS::EC2::SecurityGroup"
_SUBNET = "AWS::EC2::Subnet"
_TASKS = {"AWS::ECS::Service", "AWS::ECS::Task"}
_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_ENDPOINT = "AWS::EC2::VPCEndpoint"
_EDGE_PORTS = (80, 443)
_HTTPS = 443


def _task_groups(groups: list[SecurityGroup]) -> set[str]:
    """Groups of this deployment that only tasks carry and that nothing outside of the network can reach."""
    return {
        group.subject.id
        for group in groups
        if group.declared
        and isinstance(group.used_by, tuple)
        and set(group.used_by) <= _TASKS
        and isinstance(group.ingress, tuple)
        and not any(rule.is_of_outside for rule in group.ingress)
    }


def _is_of_a_task(rule: Rule, tasks: set[str], port: int) -> bool:
    return (
        rule.peer is Peer.GROUP
        and rule.value in tasks
        and rule.protocol in ("tcp", "6")
        and rule.from_port == rule.to_port == port
    )


def only_tasks_reach_the_database(world: World, _: Params) -> Iterator[Finding]:
    groups = {group.subject.id: group for group in world.all(SecurityGroup)}
    tasks = _task_groups(list(groups.values()))
    for cluster in world.all(Cluster):
        port = cluster.port
        yield expect(cluster.subject, Attribute("AWS::RDS::DBCluster", "Port"), port, "a known port", lambda it: it > 0)
        attached = cluster.security_groups
        attribute = Attribute("AWS::RDS::DBCluster", "VpcSecurityGroupIds")
        yield expect(cluster.subject, attribute, attached, "security groups of this network", _all_in(groups))
        if isinstance(attached, tuple) and isinstance(port, int):
            for name in attached:
                if name in groups:
                    yield from _reach(groups[name], tasks, port, serves=not cluster.follows)


def _all_in(groups: dict[str, SecurityGroup]) -> Callable[[tuple[str, ...]], bool]:
    return lambda names: bool(names) and all(name in groups for name in names)


def _reach(group: SecurityGroup, tasks: set[str], port: int, *, serves: bool) -> Iterator[Finding]:
    attribute = Attribute(_GROUP, "SecurityGroupIngress")
    rules = group.ingress
    strangers: Fact[list[Rule]]
    ours: Fact[list[Rule]]
    if isinstance(rules, tuple):
        strangers = [rule for rule in rules if not _is_of_a_task(rule, tasks, port)]
        ours = [rule for rule in rules if _is_of_a_task(rule, tasks, port)]
    else:
        strangers = ours = rules
    wanted = f"nobody but our tasks, on {port}/tcp"
    yield expect(group.subject, attribute, strangers, wanted, lambda it: not it)
    if serves:
        yield expect(group.subject, attribute, ours, "our tasks by their security groups", bool)


def _chosen(
    world: World, names: Fact[tuple[str, ...]], owner: Subject, attribute: Attribute
) -> Iterator[Finding | Subnet]:
    """The subnets of those names; or a finding when they are not all known."""
    subnets = {subnet.subject.id: subnet for subnet in world.all(Subnet)}
    known = expect(
        owner, attribute, names, "subnets of this network", lambda it: bool(it) and set(it) <= subnets.keys()
    )
    yield known
    if isinstance(names, tuple):
        yield from (subnets[name] for name in names if name in subnets)


def database_subnets_lead_nowhere(world: World, _: Params) -> Iterator[Finding]:
    for cluster in world.all(Cluster):
        attribute = Attribute("AWS::RDS::DBSubnetGroup", "SubnetIds")
        for item in _chosen(world, cluster.subnets, cluster.subject, attribute):
            if isinstance(item, Finding):
                yield item
                continue
            yield expect(
                item.subject,
                Attribute(_SUBNET, "Routes"),
                item.routes,
                "local and VPC endpoint routes only",
                lambda routes: all(route.via in (Via.LOCAL, Via.ENDPOINT) for route in routes),
            )


def database_is_not_public(world: World, _: Params) -> Iterator[Finding]:
    for instance in world.all(Instance):
        attribute = Attribute("AWS::RDS::DBInstance", "PubliclyAccessible")
        yield expect(instance.subject, attribute, instance.public, "false", is_false)


def _is_tcp(rule: Rule, port: Fact[int]) -> bool:
    return rule.protocol in ("tcp", "6") and rule.from_port == rule.to_port == port


def _ways_out(group: SecurityGroup, allowed: dict[str, Fact[int]], given: set[str]) -> Fact[list[Rule]]:
    """Rules that lead elsewhere than to `allowed` (a port by the group it leads to) and to S3.

    Whether a group of `given` is worn by endpoints alone, only the account tells.
    """
    if not isinstance(group.egress, tuple):
        return group.egress
    ways = [rule for rule in group.egress if not rule.matches_nobody]
    strangers = [
        rule
        for rule in ways
        if not (rule.peer is Peer.GROUP and rule.value in allowed and _is_tcp(rule, allowed[rule.value]))
        and not (rule.peer is Peer.PREFIX_LIST and _is_tcp(rule, _HTTPS))
        and not (rule.value in given and _is_tcp(rule, _HTTPS))
    ]
    return strangers or next((BroughtAlong(rule.value) for rule in ways if rule.value in given), strangers)


def tasks_go_where_they_must(world: World, _: Params) -> Iterator[Finding]:
    groups = {group.subject.id: group for group in world.all(SecurityGroup)}
    allowed: dict[str, Fact[int]] = {name: _HTTPS for name, it in groups.items() if it.used_by == (_ENDPOINT,)}
    for cluster in world.all(Cluster):
        if isinstance(cluster.security_groups, tuple):
            allowed |= dict.fromkeys(cluster.security_groups, cluster.port)
    given = {name for name, it in groups.items() if isinstance(it.used_by, BroughtAlong)}
    for service in world.all(Service):
        worn = service.security_groups
        attribute = Attribute("AWS::ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.SecurityGroups")
        yield expect(service.subject, attribute, worn, "security groups of this network", _all_in(groups))
        for name in worn if isinstance(worn, tuple) else ():
            if name in groups:
                out = _ways_out(groups[name], allowed, given)
                wanted = "out to the database, to private endpoints and to S3's prefix list alone"
                yield expect(groups[name].subject, Attribute(_GROUP, "SecurityGroupEgress"), out, wanted, _none)


def _none(rules: list[Rule]) -> bool:
    return not rules


def tasks_are_private(world: World, _: Params) -> Iterator[Finding]:
    for service in world.all(Service):
        address = Attribute("AWS::ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp")
        yield expect(service.subject, address, service.public_ip, "DISABLED", lambda it: it == "DISABLED")
        attribute = Attribute("AWS::ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.Subnets")
        for item in _chosen(world, service.subnets, service.subject, attribute):
            if isinstance(item, Finding):
                yield item
                continue
            yield expect(
                item.subject,
                Attribute(_SUBNET, "Routes"),
                item.routes,
                "no route to an internet gateway",
                lambda routes: all(route.via is not Via.INTERNET for route in routes),
            )


def _is_edge(rule: Rule) -> bool:
    return rule.protocol in ("tcp", "6") and rule.from_port == rule.to_port and rule.from_port in _EDGE_PORTS


def only_the_edge_is_open(world: World, _: Params) -> Iterator[Finding]:
    for group in world.all(SecurityGroup):
        rules = group.ingress
        outside: Fact[list[Rule]]
        outside = [rule for rule in rules if rule.is_of_outside] if isinstance(rules, tuple) else rules
        yield expect(
            group.subject,
            Attribute(_GROUP, "SecurityGroupIngress"),
            outside,
            "from outside of the network: tcp 443 and 80 at most",
            lambda found: all(_is_edge(rule) for rule in found),
        )
        if outside and not isinstance(outside, Unknown):
            yield expect(
                group.subject,
                Attribute(_GROUP, "UsedBy"),
                group.used_by,
                "open to the outside, so on load balancers only",
                lambda users: set(users) <= {_LOAD_BALANCER},
            )


def traffic_is_logged(world: World, params: Params) -> Iterator[Finding]:
    days = params.number("retention_days")
    flow_logs, groups = world.all(FlowLog), world.all(LogGroup)
    for vpc in world.all(Vpc):
        covering = [log for log in flow_logs if log.resource_id == vpc.subject.id]
        seen: Fact[list[str]] = untold(log.traffic for log in covering) or [str(log.traffic) for log in covering]
        attribute = Attribute("AWS::EC2::FlowLog", "TrafficType")
        yield expect(vpc.subject, attribute, seen, "a flow log of ALL traffic", lambda it: "ALL" in it)
        for log in covering:
            yield expect(log.subject, Attribute("AWS::EC2::FlowLog", "FlowLogStatus"), log.active, "active", is_true)
            name = log.log_group
            known = [group for group in groups if name in (group.name, group.subject.id)]
            destination = Attribute("AWS::EC2::FlowLog", "LogGroupName")
            yield expect(log.subject, destination, name, "a log group of this deployment", lambda _, it=known: bool(it))
            for group in known:
                retention = Attribute("AWS::Logs::LogGroup", "RetentionInDays")
                wanted = f"at least {days} days"
                yield expect(group.subject, retention, group.retention_days, wanted, lambda it: it >= days)


def _at_least(least: int, zones: list[str]) -> bool:
    return len(zones) >= least


def tiers_span_zones(world: World, params: Params) -> Iterator[Finding]:
    inside, edge = params.number("zones"), params.number("edge_zones")
    tiers: list[tuple[Subject, str, Fact[tuple[str, ...]], int]] = []
    tiers += [(cluster.subject, "DBSubnetGroupName", cluster.subnets, inside) for cluster in world.all(Cluster)]
    tiers += [(service.subject, "Subnets", service.subnets, inside) for service in world.all(Service)]
    tiers += [(balancer.subject, "Subnets", balancer.subnets, edge) for balancer in world.all(LoadBalancer)]
    zones = {subnet.subject.id: subnet.zone for subnet in world.all(Subnet)}
    for subject, name, names, least in tiers:
        found: Fact[list[str]]
        if isinstance(names, tuple):
            read = [zones.get(item, Unknown(f"subnet {item} is not known")) for item in names]
            found = untold(read) or sorted({str(zone) for zone in read if zone is not None})
        else:
            found = names
        wanted = f"subnets in at least {least} zones"
        enough = partial(_at_least, least)
        yield expect(subject, Attribute(subject.type, name), found, wanted, enough)


def _may_be_abroad(resource: str, own: set[str]) -> bool:
    """Whether the resource of an sts:AssumeRole may be a role of another account."""
    principal = Principal("AWS", resource)
    if principal.is_within_template or principal.account in own:
        return False
    service = resource.split(":")[2] if resource.count(":") > 1 else "*"
    return service in ("iam", "*")  # another service's resource is no role


def _roles_taken_abroad(statements: tuple[Statement, ...], own: set[str]) -> list[str]:
    return sorted(
        {
            resource
            for statement in statements
            if statement.grants("sts:AssumeRole")
            for resource in statement.resources
            if statement.not_resource or _may_be_abroad(resource, own)
        }
    )


def nothing_leads_into_a_data_plane(world: World, _: Params) -> Iterator[Finding]:
    own = {world.account, ACCOUNT_SYMBOL}
    for vpc in world.all(Vpc):
        attribute = Attribute("AWS::EC2::VPC", "OutsideLinks")
        yield expect(vpc.subject, attribute, vpc.outside_links, "no peering, transit gateway or VPN", lambda it: not it)
    for endpoint in world.all(Endpoint):
        yield expect(
            endpoint.subject,
            Attribute("AWS::EC2::VPCEndpoint", "ServiceName"),
            endpoint.service,
            "a service of AWS",
            lambda name: name.startswith(("com.amazonaws.", "cn.com.amazonaws.", "aws.")) and ".vpce." not in name,
        )
    for role in world.all(RolePermissions):
        statements = role.statements
        abroad: Fact[list[str]]
        abroad = _roles_taken_abroad(statements, own) if isinstance(statements, tuple) else statements
        attribute = Attribute("AWS::IAM::Role", "Policies")
        yield expect(role.role, attribute, abroad, "no sts:AssumeRole outside of this account", lambda it: not it)


RULES = {
    "NET-01": only_tasks_reach_the_database,
    "NET-02": database_subnets_lead_nowhere,
    "NET-03": database_is_not_public,
    "NET-04": tasks_are_private,
    "NET-05": tasks_go_where_they_must,
    "NET-06": only_the_edge_is_open,
    "NET-08": traffic_is_logged,
    "NET-10": tiers_span_zones,
    "NET-12": nothing_leads_into_a_data_plane,
}
