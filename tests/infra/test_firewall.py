"""Who may connect to whom: the tables below are the whole of it, over all stacks (NET-01, NET-05, NET-06).

Who can open the database's port is proven by the reader and the rule of the evidence: the graph of security groups has
no second interpreter.
"""

from pathlib import Path
from typing import Any

import pytest

from signalbox_evidence.catalogue import Params, load
from signalbox_evidence.facts.database import Cluster
from signalbox_evidence.facts.network import Rule as Permission
from signalbox_evidence.facts.network import SecurityGroup
from signalbox_evidence.rules.network import only_tasks_reach_the_database
from signalbox_evidence.template.assembly import read_assembly
from signalbox_evidence.template.world import TemplateWorld
from support.assemblies import DATABASE_GROUP, Draft, Weakening
from support.templates import Deployment, Deployments, Resource, Rule

PROCESSES = ("Serve", "Reconcile")
NOTHING = "255.255.255.255/32"


def _tcp(source: str, target: str, port: int) -> Rule:
    return Rule(source, target, (port, port))


def _between_groups() -> set[Rule]:
    return (
        {_tcp("Edge", "Serve", 8443)}
        | {_tcp(process, "Database", 5432) for process in PROCESSES}
        | {_tcp(process, "Network/Endpoints", 443) for process in PROCESSES}
    )


def test_the_inbound_rules_are_exactly_these(deployment: Deployment) -> None:
    from_the_world = {_tcp("0.0.0.0/0", "Edge", 443), _tcp("0.0.0.0/0", "Edge", 80)}

    assert deployment.rules("Ingress") == from_the_world | _between_groups()


def test_the_outbound_rules_are_exactly_these(deployment: Deployment) -> None:
    image_layers = {_tcp(process, "pl-63a5400a", 443) for process in PROCESSES}
    outbound = deployment.rules("Egress")

    placeholders = {rule for rule in outbound if rule.target == NOTHING}
    collector = {_tcp("Collector", "0.0.0.0/0", 443)}  # it asks AWS's public endpoints, and has no way to the database
    assert outbound - placeholders == image_layers | collector | _between_groups()


def test_every_group_is_born_without_the_default_that_lets_everything_out(deployment: Deployment) -> None:
    for group in deployment.all("AWS::EC2::SecurityGroup"):
        inline = group.properties["SecurityGroupEgress"]

        assert [(rule["IpProtocol"], rule["CidrIp"]) for rule in inline] == [("icmp", NOTHING)], group.path


def test_every_rule_between_groups_is_tcp(deployment: Deployment) -> None:
    for direction in ("Ingress", "Egress"):
        for rule in deployment.all(f"AWS::EC2::SecurityGroup{direction}"):
            assert rule.properties["IpProtocol"] == "tcp", rule.path


def test_only_the_load_balancer_wears_the_group_that_is_open_to_the_world(deployment: Deployment) -> None:
    edge = deployment.one("AWS::EC2::SecurityGroup", "signalbox-edge/")
    wearers = {resource.kind for resource in deployment.resources if edge in _groups_worn_by(deployment, resource)}

    assert wearers == {"AWS::ElasticLoadBalancingV2::LoadBalancer"}


def test_nothing_is_attached_to_the_default_group_of_the_vpc(deployment: Deployment) -> None:
    for kind in (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::RDS::DBCluster",
        "AWS::ECS::Service",
    ):
        for resource in deployment.all(kind):
            assert _groups_worn_by(deployment, resource), f"{resource.path} would fall back to the default group"
    for endpoint in deployment.all("AWS::EC2::VPCEndpoint"):
        interface = endpoint.properties["VpcEndpointType"] == "Interface"
        assert bool(_groups_worn_by(deployment, endpoint)) == interface, endpoint.path


def _groups_worn_by(deployment: Deployment, resource: Resource) -> list[Resource | str]:
    properties = resource.properties
    if resource.kind == "AWS::ECS::Service":
        properties = properties["NetworkConfiguration"]["AwsvpcConfiguration"]
    values = [
        value
        for key in ("SecurityGroups", "SecurityGroupIds", "VpcSecurityGroupIds")
        for value in properties.get(key, [])
    ]
    return [deployment.refers(resource, value) for value in values]


GROUP = "AWS::EC2::SecurityGroup"
INGRESS = "AWS::EC2::SecurityGroupIngress"
ISOLATED = ("dev", "standard", "lean", "ha-dr", "byo")


def _openers(directory: Path) -> set[tuple[str, str]]:
    """Return (who, protocol and ports) of all that may connect to a cluster: construct paths, blocks, prefix lists."""
    world = TemplateWorld(read_assembly(directory))
    groups = {group.subject.id: group for group in world.all(SecurityGroup)}
    found = set[tuple[str, str]]()
    for cluster in world.all(Cluster):
        assert isinstance(cluster.security_groups, tuple)
        for name in cluster.security_groups:
            rules = groups[name].ingress
            assert isinstance(rules, tuple), rules
            found |= {(_who(rule, groups), f"{rule.protocol} {rule.from_port}-{rule.to_port}") for rule in rules}
    return found


def _who(rule: Permission, groups: dict[str, SecurityGroup]) -> str:
    group = groups.get(rule.value)
    return (group.subject.name or "") if group else f"{rule.peer} {rule.value}"


NO_PARAMS = Params(load().control("NET-01"), {})


def _net_01(directory: Path) -> set[str]:
    """Return what the rule of NET-01 says of an assembly: "holds" alone, or "fails" too."""
    world = TemplateWorld(read_assembly(directory))
    return {str(finding.outcome) for finding in only_tasks_reach_the_database(world, NO_PARAMS)}


OURS = {(f"signalbox-service/{process}/SecurityGroup/Resource", "tcp 5432-5432") for process in PROCESSES}


@pytest.mark.parametrize("name", ISOLATED)
def test_only_the_processes_of_the_service_can_open_the_database(deployments: Deployments, name: str) -> None:
    directory = deployments(name).directory

    assert _openers(directory) == OURS
    assert _net_01(directory) == {"holds"}


def _inline(rule: dict[str, Any]) -> Weakening:
    """One more rule of the database's group, where it is declared."""

    def apply(draft: Draft) -> None:
        rules = draft.properties(GROUP, DATABASE_GROUP).setdefault("SecurityGroupIngress", [])
        rules.append({"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **rule})

    return apply


def _standalone(rule: dict[str, Any]) -> Weakening:
    """A rule of its own beside the edge, which refers to the database's group by an export."""

    def apply(draft: Draft) -> None:
        group = draft.properties(INGRESS, "toD")["GroupId"]
        properties = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "GroupId": group, **rule}
        draft.stacks["signalbox-edge"]["Resources"]["Intruder"] = {"Type": INGRESS, "Properties": properties}

    return apply


def _the_load_balancer(draft: Draft) -> None:
    group = {"Fn::GetAtt": [draft.id_of(GROUP, "EdgeSecurityGroup"), "GroupId"]}
    _standalone({"SourceSecurityGroupId": group})(draft)


def _all_ports(draft: Draft) -> None:
    draft.properties(INGRESS, "toD").update({"IpProtocol": "-1", "FromPort": -1, "ToPort": -1})


def _itself(draft: Draft) -> None:
    group = {"Fn::GetAtt": [draft.id_of(GROUP, DATABASE_GROUP), "GroupId"]}
    _inline({"SourceSecurityGroupId": group})(draft)


WEAKENED = {
    "the VPC": _inline({"CidrIp": "10.40.0.0/16"}),
    "the load balancer": _the_load_balancer,
    "all ports": _all_ports,
    "itself": _itself,
    "a prefix list": _inline({"SourcePrefixListId": "pl-63a5400a"}),
    "IPv6": _inline({"CidrIpv6": "fd00::/8"}),
    "a rule in another stack": _standalone({"CidrIp": "10.0.0.0/8"}),
}


@pytest.mark.parametrize("name", ISOLATED)
@pytest.mark.parametrize("weakened", WEAKENED)
def test_whoever_else_is_let_in_is_found(deployments: Deployments, name: str, weakened: str, tmp_path: Path) -> None:
    draft = Draft(deployments(name).directory)
    WEAKENED[weakened](draft)
    directory = draft.write(tmp_path)

    assert _openers(directory) != OURS
    assert "fails" in _net_01(directory)
