"""The network as EC2 describes it: everything in the deployment's VPCs, whoever made it.

Of a VPC that was brought along only our own security groups: others may live there too.
"""

from typing import Any  # API answers are free JSON

from signalbox_evidence.facts.network import Endpoint, FlowLog, Peer, Route, Rule, SecurityGroup, Subnet, Via, Vpc
from signalbox_evidence.facts.world import Fact, Subject, Unknown, untold
from signalbox_evidence.live.deployment import Deployment, complete

Row = dict[str, Any]

_GROUP, _SUBNET, _VPC = "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC"
_GONE = {"deleted", "deleting", "rejected", "expired", "failed"}
_OTHER_TARGETS = (
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "CarrierGatewayId",
    "LocalGatewayId",
    "CoreNetworkArn",
)


def _in_vpcs(deployment: Deployment, operation: str, field: str) -> list[Row]:
    """Rows of a describe call over our VPCs; none when there is no VPC, since an empty filter would mean all."""
    vpc_ids = deployment.ids(_VPC)
    if not vpc_ids:
        return []
    filters = [{"Name": "vpc-id", "Values": vpc_ids}]
    return deployment.probe.rows(operation, field, Filters=filters)


def _links(deployment: Deployment, vpc_id: str) -> tuple[str, ...]:
    probe = deployment.probe
    found: list[str] = []
    for side in ("requester", "accepter"):
        filters = [{"Name": f"{side}-vpc-info.vpc-id", "Values": [vpc_id]}]
        rows = probe.rows("ec2:DescribeVpcPeeringConnections", "VpcPeeringConnections", Filters=filters)
        found += [row["VpcPeeringConnectionId"] for row in rows if row.get("Status", {}).get("Code") not in _GONE]
    filters = [{"Name": "resource-id", "Values": [vpc_id]}]
    rows = probe.rows("ec2:DescribeTransitGatewayAttachments", "TransitGatewayAttachments", Filters=filters)
    found += [row["TransitGatewayAttachmentId"] for row in rows if row.get("State") not in _GONE]
    filters = [{"Name": "attachment.vpc-id", "Values": [vpc_id]}]
    rows = probe.rows("ec2:DescribeVpnGateways", "VpnGateways", Filters=filters)
    found += [row["VpnGatewayId"] for row in rows if row.get("State") not in _GONE]
    return tuple(sorted(set(found)))


def vpcs(deployment: Deployment) -> list[Vpc]:
    declared = deployment.ids(_VPC)
    described = [row["VpcId"] for row in _in_vpcs(deployment, "ec2:DescribeVpcs", "Vpcs")]
    complete("VPCs", declared, described)
    return [Vpc(subject=Subject(type=_VPC, id=it), outside_links=_links(deployment, it)) for it in declared]


def endpoints(deployment: Deployment) -> list[Endpoint]:
    rows = _in_vpcs(deployment, "ec2:DescribeVpcEndpoints", "VpcEndpoints")
    complete("VPC endpoints", deployment.ids("AWS::EC2::VPCEndpoint"), [row["VpcEndpointId"] for row in rows])
    return [
        Endpoint(subject=Subject(type="AWS::EC2::VPCEndpoint", id=row["VpcEndpointId"]), service=row.get("ServiceName"))
        for row in rows
        if str(row.get("State")).lower() not in _GONE
    ]


def _route(row: Row) -> Route:
    destination = row.get("DestinationCidrBlock") or row.get("DestinationIpv6CidrBlock")
    destination = str(destination or row.get("DestinationPrefixListId"))
    gateway = row.get("GatewayId") or ""
    if gateway == "local":
        return Route(destination, Via.LOCAL, gateway)
    if gateway.startswith("vpce-"):
        return Route(destination, Via.ENDPOINT, gateway)
    if row.get("NatGatewayId"):
        return Route(destination, Via.NAT, row["NatGatewayId"])
    if gateway.startswith("igw-") or row.get("EgressOnlyInternetGatewayId"):
        return Route(destination, Via.INTERNET, gateway or row["EgressOnlyInternetGatewayId"])
    other = next((row[name] for name in _OTHER_TARGETS if row.get(name)), gateway)
    return Route(destination, Via.OTHER, other)


def _table_of(tables: list[Row], subnet: Row) -> Row | None:
    """The table associated with the subnet, else the main table of its VPC, as routing itself goes."""
    for table in tables:
        if any(it.get("SubnetId") == subnet["SubnetId"] for it in table.get("Associations", [])):
            return table
    for table in tables:
        if table["VpcId"] == subnet["VpcId"] and any(it.get("Main") for it in table.get("Associations", [])):
            return table
    return None


def subnets(deployment: Deployment) -> list[Subnet]:
    rows = _in_vpcs(deployment, "ec2:DescribeSubnets", "Subnets")
    complete("subnets", deployment.ids(_SUBNET), [row["SubnetId"] for row in rows])
    tables = _in_vpcs(deployment, "ec2:DescribeRouteTables", "RouteTables")
    found: list[Subnet] = []
    for row in rows:
        table = _table_of(tables, row)
        routes: Fact[tuple[Route, ...]] = Unknown(f"{row['SubnetId']}: no route table was described")
        if table:
            routes = tuple(_route(route) for route in table.get("Routes", []))
        subject = Subject(type=_SUBNET, id=row["SubnetId"], arn=row.get("SubnetArn"))
        found.append(Subnet(subject=subject, zone=row.get("AvailabilityZone"), routes=routes))
    return found


def flow_logs(deployment: Deployment) -> list[FlowLog]:
    vpc_ids = deployment.ids(_VPC)
    filters = [{"Name": "resource-id", "Values": vpc_ids}]
    rows = deployment.probe.rows("ec2:DescribeFlowLogs", "FlowLogs", Filter=filters) if vpc_ids else []
    return [
        FlowLog(
            subject=Subject(type="AWS::EC2::FlowLog", id=row["FlowLogId"]),
            resource_id=row.get("ResourceId"),
            traffic=row.get("TrafficType"),
            active=row.get("FlowLogStatus") == "ACTIVE" and row.get("DeliverLogsStatus") != "FAILED",
            log_group=row.get("LogGroupName"),
        )
        for row in rows
    ]


def _rule(row: Row) -> Rule | Unknown:
    ports = (row.get("FromPort"), row.get("ToPort"))
    protocol = str(row.get("IpProtocol"))
    first, last = (None, None) if protocol == "-1" else ports
    group = row.get("ReferencedGroupInfo", {}).get("GroupId")
    if group:
        return Rule(Peer.GROUP, group, protocol, first, last)
    if row.get("PrefixListId"):
        return Rule(Peer.PREFIX_LIST, row["PrefixListId"], protocol, first, last)
    cidr = row.get("CidrIpv4") or row.get("CidrIpv6")
    if cidr:
        return Rule(Peer.CIDR, cidr, protocol, first, last)
    return Unknown(f"{row.get('SecurityGroupRuleId')}: a rule with a peer of no known kind")


def _interface_user(row: Row) -> str:
    """What carries a network interface, as far as EC2 tells: by its type and by the description that services give."""
    description = str(row.get("Description", ""))
    if description.startswith("ELB ") or str(row.get("InterfaceType", "")).endswith("load_balancer"):
        return "AWS::ElasticLoadBalancingV2::LoadBalancer"
    if row.get("InterfaceType") == "vpc_endpoint" or description.startswith("VPC Endpoint Interface"):
        return "AWS::EC2::VPCEndpoint"
    if row.get("RequesterManaged") and description == "RDSNetworkInterface":
        return "AWS::RDS::DBCluster"
    if row.get("RequesterManaged") and ":ecs:" in description and ":attachment/" in description:
        return "AWS::ECS::Task"
    return "AWS::EC2::NetworkInterface"


def _users(deployment: Deployment) -> dict[str, set[str]]:
    """Security group -> types of what carries it, from the services' own descriptions and from the interfaces."""
    probe = deployment.probe
    found: dict[str, set[str]] = {}

    def add(user: str, groups: list[str]) -> None:
        for group in groups:
            found.setdefault(group, set()).add(user)

    for row in _in_vpcs(deployment, "ec2:DescribeNetworkInterfaces", "NetworkInterfaces"):
        add(_interface_user(row), [group["GroupId"] for group in row.get("Groups", [])])
    for row in _in_vpcs(deployment, "ec2:DescribeVpcEndpoints", "VpcEndpoints"):
        add("AWS::EC2::VPCEndpoint", [group["GroupId"] for group in row.get("Groups", [])])
    for row in probe.rows("elbv2:DescribeLoadBalancers", "LoadBalancers"):
        add("AWS::ElasticLoadBalancingV2::LoadBalancer", row.get("SecurityGroups", []))
    for row in probe.rows("rds:DescribeDBClusters", "DBClusters"):
        add("AWS::RDS::DBCluster", [group["VpcSecurityGroupId"] for group in row.get("VpcSecurityGroups", [])])
    return found


def security_groups(deployment: Deployment) -> list[SecurityGroup]:
    rows = _in_vpcs(deployment, "ec2:DescribeSecurityGroups", "SecurityGroups")
    ours, vpcs_made = deployment.ids(_GROUP), deployment.made(_VPC)
    complete("security groups", ours, [row["GroupId"] for row in rows])
    names = sorted(row["GroupId"] for row in rows if row["GroupId"] in ours or row["VpcId"] in vpcs_made)
    declared = deployment.made(_GROUP)
    if not names:
        return []
    filters = [{"Name": "group-id", "Values": names}]
    rules = deployment.probe.rows("ec2:DescribeSecurityGroupRules", "SecurityGroupRules", Filters=filters)
    users = _users(deployment)
    return [
        SecurityGroup(
            subject=Subject(type=_GROUP, id=name),
            declared=name in declared,
            ingress=_rules(rules, name, egress=False),
            egress=_rules(rules, name, egress=True),
            used_by=tuple(sorted(users.get(name, ()))),
        )
        for name in names
    ]


def _rules(rows: list[Row], group: str, *, egress: bool) -> Fact[tuple[Rule, ...]]:
    read = [_rule(row) for row in rows if row["GroupId"] == group and row["IsEgress"] is egress]
    return untold(read) or tuple(sorted((rule for rule in read if isinstance(rule, Rule)), key=lambda rule: rule.text))
