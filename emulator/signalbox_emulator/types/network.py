"""EC2 networking: VPC, subnets, routes, gateways, endpoints, flow logs."""

from typing import Any

from signalbox_emulator.types.kind import ID, VALUE, Call, Kind, Read, Step, TagCalls, Target, prop

TAGS = TagCalls(
    add=Call("create_tags", {"Resources": [ID], "Tags": VALUE}),
    remove=Call("delete_tags", {"Resources": [ID], "Tags": VALUE}),
    at_creation=False,
)


def _set_attribute(name: str) -> Call:
    return Call("modify_vpc_attribute", {"VpcId": ID, name: {"Value": VALUE}})


def _read_attribute(attribute: str, member: str) -> Read:
    return Read("describe_vpc_attribute", {"VpcId": ID, "Attribute": attribute}, f"{member}.Value")


def _default_of_vpc(operation: str, name: str, value: str, path: str) -> Read:
    filters = [{"Name": "vpc-id", "Values": [ID]}, {"Name": name, "Values": [value]}]
    return Read(operation, {"Filters": filters}, path)


def _read_association(target: Target) -> Any:
    wanted = [{"Name": "association.route-table-association-id", "Values": [target.id]}]
    table = target.client("ec2").describe_route_tables(Filters=wanted)["RouteTables"][0]
    return next(a for a in table["Associations"] if a["RouteTableAssociationId"] == target.id)


def _read_route(target: Target) -> Any:
    table = target.properties["RouteTableId"]
    described = target.client("ec2").describe_route_tables(RouteTableIds=[table])
    routes: list[dict[str, Any]] = described["RouteTables"][0]["Routes"]
    wanted = target.properties["DestinationCidrBlock"]
    found = [route for route in routes if route.get("DestinationCidrBlock") == wanted]
    return {"RouteTableId": table} | (found[0] if found else {})


def _address_id(target: Target) -> str:
    return target.client("ec2").describe_addresses(PublicIps=[target.id])["Addresses"][0]["AllocationId"]


def _create_flow_log(target: Target) -> str:
    sent = {k: v for k, v in target.properties.items() if k not in {"ResourceId", "Tags"}}
    answer = target.client("ec2").create_flow_logs(ResourceIds=[target.properties["ResourceId"]], **sent)
    if answer["Unsuccessful"]:
        raise RuntimeError(answer["Unsuccessful"][0]["Error"]["Message"])
    return answer["FlowLogIds"][0]


def _exchange(described: str, members: str) -> Step:
    """Return the step that makes an endpoint's peers equal to a property through its Add… and Remove… members."""

    def step(target: Target, value: list[str]) -> None:
        ec2 = target.client("ec2")
        endpoint = ec2.describe_vpc_endpoints(VpcEndpointIds=[target.id])["VpcEndpoints"][0]
        peers: list[Any] = endpoint.get(described, [])
        have: set[str] = {peer if isinstance(peer, str) else peer["GroupId"] for peer in peers}
        changes = {f"Add{members}": sorted(set(value) - have), f"Remove{members}": sorted(have - set(value))}
        if changes := {name: ids for name, ids in changes.items() if ids}:
            ec2.modify_vpc_endpoint(VpcEndpointId=target.id, **changes)

    return step


KINDS = (
    Kind(
        type="AWS::EC2::VPC",
        service="ec2",
        create="create_vpc",
        ref="Vpc.VpcId",
        read=Read("describe_vpcs", {"VpcIds": [ID]}, "Vpcs[0]"),
        delete=Call("delete_vpc", {"VpcId": ID}),
        after={
            "EnableDnsSupport": _set_attribute("EnableDnsSupport"),
            "EnableDnsHostnames": _set_attribute("EnableDnsHostnames"),
        },
        reads={
            "EnableDnsSupport": _read_attribute("enableDnsSupport", "EnableDnsSupport"),
            "EnableDnsHostnames": _read_attribute("enableDnsHostnames", "EnableDnsHostnames"),
        },
        replace=frozenset({"CidrBlock", "InstanceTenancy"}),
        attributes={
            "VpcId": "VpcId",
            "CidrBlock": "CidrBlock",
            "DefaultSecurityGroup": _default_of_vpc(
                "describe_security_groups", "group-name", "default", "SecurityGroups[0].GroupId"
            ),
            "DefaultNetworkAcl": _default_of_vpc(
                "describe_network_acls", "default", "true", "NetworkAcls[0].NetworkAclId"
            ),
        },
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::Subnet",
        service="ec2",
        create="create_subnet",
        ref="Subnet.SubnetId",
        read=Read("describe_subnets", {"SubnetIds": [ID]}, "Subnets[0]"),
        delete=Call("delete_subnet", {"SubnetId": ID}),
        after={
            "MapPublicIpOnLaunch": Call(
                "modify_subnet_attribute", {"SubnetId": ID, "MapPublicIpOnLaunch": {"Value": VALUE}}
            )
        },
        replace=frozenset({"CidrBlock", "AvailabilityZone", "VpcId"}),
        attributes={"SubnetId": "SubnetId", "AvailabilityZone": "AvailabilityZone", "VpcId": "VpcId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::InternetGateway",
        service="ec2",
        create="create_internet_gateway",
        ref="InternetGateway.InternetGatewayId",
        read=Read("describe_internet_gateways", {"InternetGatewayIds": [ID]}, "InternetGateways[0]"),
        delete=Call("delete_internet_gateway", {"InternetGatewayId": ID}),
        attributes={"InternetGatewayId": "InternetGatewayId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::VPCGatewayAttachment",
        service="ec2",
        create="attach_internet_gateway",
        ref=lambda target: f"IGW|{target.properties['VpcId']}",
        read=Read(
            "describe_internet_gateways",
            {"InternetGatewayIds": [prop("InternetGatewayId")]},
            "InternetGateways[0].{InternetGatewayId: InternetGatewayId, VpcId: Attachments[0].VpcId}",
        ),
        delete=Call(
            "detach_internet_gateway", {"InternetGatewayId": prop("InternetGatewayId"), "VpcId": prop("VpcId")}
        ),
        replace=frozenset({"InternetGatewayId", "VpcId"}),
    ),
    Kind(
        type="AWS::EC2::RouteTable",
        service="ec2",
        create="create_route_table",
        ref="RouteTable.RouteTableId",
        read=Read("describe_route_tables", {"RouteTableIds": [ID]}, "RouteTables[0]"),
        delete=Call("delete_route_table", {"RouteTableId": ID}),
        replace=frozenset({"VpcId"}),
        attributes={"RouteTableId": "RouteTableId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::SubnetRouteTableAssociation",
        service="ec2",
        create="associate_route_table",
        ref="AssociationId",
        read=_read_association,
        delete=Call("disassociate_route_table", {"AssociationId": ID}),
        replace=frozenset({"SubnetId", "RouteTableId"}),
        attributes={"Id": "RouteTableAssociationId"},
    ),
    Kind(
        type="AWS::EC2::Route",
        service="ec2",
        create="create_route",
        ref=lambda target: f"{target.properties['RouteTableId']}|{target.properties['DestinationCidrBlock']}",
        read=_read_route,
        delete=Call(
            "delete_route",
            {"RouteTableId": prop("RouteTableId"), "DestinationCidrBlock": prop("DestinationCidrBlock")},
        ),
        replace=frozenset({"RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId"}),
    ),
    Kind(
        type="AWS::EC2::EIP",
        service="ec2",
        create="allocate_address",
        ref="PublicIp",
        read=Read("describe_addresses", {"PublicIps": [ID]}, "Addresses[0]"),
        delete=lambda target, _: target.client("ec2").release_address(AllocationId=_address_id(target)),
        replace=frozenset({"Domain"}),
        attributes={"AllocationId": "AllocationId", "PublicIp": "PublicIp"},
        tags=TagCalls(
            add=lambda target, tags: target.client("ec2").create_tags(Resources=[_address_id(target)], Tags=tags),
            remove=lambda target, tags: target.client("ec2").delete_tags(Resources=[_address_id(target)], Tags=tags),
            at_creation=False,
        ),
    ),
    Kind(
        type="AWS::EC2::NatGateway",
        service="ec2",
        create="create_nat_gateway",
        ref="NatGateway.NatGatewayId",
        read=Read("describe_nat_gateways", {"NatGatewayIds": [ID]}, "NatGateways[0]"),
        reads={"AllocationId": "NatGatewayAddresses[0].AllocationId"},
        delete=Call("delete_nat_gateway", {"NatGatewayId": ID}),
        replace=frozenset({"AllocationId", "SubnetId", "ConnectivityType"}),
        attributes={"NatGatewayId": "NatGatewayId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::VPCEndpoint",
        service="ec2",
        create="create_vpc_endpoint",
        ref="VpcEndpoint.VpcEndpointId",
        read=Read("describe_vpc_endpoints", {"VpcEndpointIds": [ID]}, "VpcEndpoints[0]"),
        reads={"SecurityGroupIds": "Groups[].GroupId"},
        delete=Call("delete_vpc_endpoints", {"VpcEndpointIds": [ID]}),
        modify=Call("modify_vpc_endpoint", {"VpcEndpointId": ID}),
        change={
            "RouteTableIds": _exchange("RouteTableIds", "RouteTableIds"),
            "SubnetIds": _exchange("SubnetIds", "SubnetIds"),
            "SecurityGroupIds": _exchange("Groups", "SecurityGroupIds"),
        },
        replace=frozenset({"ServiceName", "VpcId", "VpcEndpointType"}),
        attributes={"Id": "VpcEndpointId"},
        tags=TAGS,
    ),
    Kind(
        type="AWS::EC2::FlowLog",
        service="ec2",
        create=_create_flow_log,
        read=Read("describe_flow_logs", {"FlowLogIds": [ID]}, "FlowLogs[0]"),
        # The API answers the id of what is logged, and not whether that is a VPC or a subnet; the id's prefix tells.
        reads={"ResourceType": lambda target: target.properties["ResourceId"].split("-")[0]},
        expects={"ResourceType": lambda target: target.properties["ResourceType"].lower()},
        delete=Call("delete_flow_logs", {"FlowLogIds": [ID]}),
        replace=frozenset(
            {"ResourceId", "ResourceType", "TrafficType", "LogDestinationType", "LogGroupName", "LogDestination"}
            | {"DeliverLogsPermissionArn", "LogFormat", "MaxAggregationInterval"}
        ),
        attributes={"Id": "FlowLogId"},
        tags=TAGS,
    ),
)
