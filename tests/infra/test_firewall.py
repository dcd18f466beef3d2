"""Who may connect to whom: the tables below are the whole of it, over all stacks (NET-01, NET-05, NET-06)."""

from support.templates import Deployment, Resource, Rule

PROCESSES = ("Serve", "Reconcile", "Migrate")
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
    assert outbound - placeholders == image_layers | _between_groups()


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
