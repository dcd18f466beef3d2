"""Network: three tiers over three zones, no way out of the database's tier, every flow on record."""

import json
from collections import defaultdict
from typing import Any

import pytest

from support.templates import Deployment, Deployments, Resource

ZONES = {"us-east-1a", "us-east-1b", "us-east-1c"}
OWN = ("dev", "standard", "lean", "ha-dr")
"""Configurations with a VPC of their own."""


def _tiers(deployment: Deployment) -> dict[str, list[Resource]]:
    tiers = defaultdict[str, list[Resource]](list)
    for subnet in deployment.all("AWS::EC2::Subnet"):
        if subnet.name.startswith("signalbox-network/"):
            tags = {tag["Key"]: tag["Value"] for tag in subnet.properties["Tags"]}
            tiers[tags["aws-cdk:subnet-name"]].append(subnet)
    return tiers


def _routes(deployment: Deployment, subnet: Resource) -> list[dict[str, Any]]:
    """Return the routes of the one route table that `subnet` is associated with."""
    tables = [
        deployment.refers(association, association.properties["RouteTableId"])
        for association in deployment.all("AWS::EC2::SubnetRouteTableAssociation")
        if deployment.refers(association, association.properties["SubnetId"]) == subnet
    ]
    assert len(tables) == 1, subnet.path
    return [
        route.properties
        for route in deployment.all("AWS::EC2::Route")
        if deployment.refers(route, route.properties["RouteTableId"]) == tables[0]
    ]


def _endpoints(deployment: Deployment) -> dict[str, Resource]:
    """Endpoints by the name of their service, without region."""
    found = [it for it in deployment.resources if it.kind == "AWS::EC2::VPCEndpoint"]
    return {
        "s3"
        if it.properties["VpcEndpointType"] == "Gateway"
        else it.properties["ServiceName"].split("us-east-1.")[1]: it
        for it in found
        if it.name.startswith("signalbox-network/")
    }


@pytest.mark.parametrize("name", OWN)
def test_each_tier_spans_the_three_configured_zones(deployments: Deployments, name: str) -> None:
    tiers = _tiers(deployments(name))

    assert set(tiers) == {"public", "private", "isolated"}
    for tier, subnets in tiers.items():
        assert {subnet.properties["AvailabilityZone"] for subnet in subnets} == ZONES, tier
        assert len(subnets) == len(ZONES), tier


@pytest.mark.parametrize("name", OWN)
def test_the_database_lives_in_subnets_without_any_route(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    group = deployment.one("AWS::RDS::DBSubnetGroup", "signalbox-data/")
    subnets = [deployment.refers(group, value) for value in group.properties["SubnetIds"]]

    assert {subnet.name for subnet in subnets if isinstance(subnet, Resource)} == {
        subnet.name for subnet in _tiers(deployment)["isolated"]
    }
    for subnet in subnets:
        assert isinstance(subnet, Resource)
        assert _routes(deployment, subnet) == [], subnet.path


@pytest.mark.parametrize(("name", "gateways"), [("dev", 0), ("standard", 1), ("lean", 1), ("ha-dr", 3)])
def test_private_subnets_reach_out_through_nat_or_not_at_all(
    deployments: Deployments, name: str, gateways: int
) -> None:
    deployment = deployments(name)
    tiers = _tiers(deployment)

    for subnet in tiers["private"]:
        assert ["NatGatewayId" in route for route in _routes(deployment, subnet)] == [True] * min(gateways, 1), name
    for subnet in tiers["public"]:
        assert ["GatewayId" in route for route in _routes(deployment, subnet)] == [True], subnet.path
    assert len([it for it in deployment.resources if it.kind == "AWS::EC2::NatGateway"]) == gateways


@pytest.mark.parametrize("name", OWN)
def test_no_subnet_hands_out_public_addresses(deployments: Deployments, name: str) -> None:
    for subnet in deployments(name).all("AWS::EC2::Subnet"):
        assert subnet.properties["MapPublicIpOnLaunch"] is False, subnet.path


@pytest.mark.parametrize("name", OWN)
def test_all_flows_are_logged(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    logged = {
        it.properties["ResourceId"]["Ref"]
        for it in deployment.all("AWS::EC2::FlowLog")
        if (it.properties["TrafficType"], it.properties["ResourceType"]) == ("ALL", "VPC")
    }

    assert logged == {vpc.name.split("/")[1] for vpc in deployment.all("AWS::EC2::VPC")}


@pytest.mark.parametrize("name", OWN)
def test_every_log_group_is_encrypted_and_kept_for_more_than_a_year(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)

    for group in deployment.all("AWS::Logs::LogGroup"):
        key = deployment.refers(group, group.properties["KmsKeyId"])
        assert isinstance(key, Resource), group.path
        assert key.path in {"signalbox-keys/Operations/Resource", "signalbox-recovery/Key/Resource"}, group.path
        assert group.properties["RetentionInDays"] >= 365, group.path
        assert group.definition["DeletionPolicy"] == "Retain", group.path
        assert group.definition["UpdateReplacePolicy"] == "Retain", group.path


@pytest.mark.parametrize(("name", "zones"), [("dev", 0), ("standard", 3), ("lean", 2), ("ha-dr", 3), ("byo", 3)])
def test_the_endpoints_are_those_that_a_task_needs_in_so_many_zones(
    deployments: Deployments, name: str, zones: int
) -> None:
    endpoints = _endpoints(deployments(name))
    interfaces = {service: it for service, it in endpoints.items() if service != "s3"}

    assert set(interfaces) == ({"ecr.api", "ecr.dkr", "logs", "secretsmanager"} if zones else set())
    for endpoint in interfaces.values():
        assert len(endpoint.properties["SubnetIds"]) == zones, endpoint.path
        assert endpoint.properties["PrivateDnsEnabled"] is True, endpoint.path
    assert ("s3" in endpoints) == (name != "byo")  # its own network has one, as nobody gave route tables


@pytest.mark.parametrize("name", [*OWN, "byo"])
def test_every_endpoint_admits_callers_of_this_account_only(deployments: Deployments, name: str) -> None:
    for service, endpoint in _endpoints(deployments(name)).items():
        for statement in endpoint.properties["PolicyDocument"]["Statement"]:
            if statement.get("Sid") == "ImageLayers":
                assert statement["Action"] == "s3:GetObject"
                assert statement["Resource"] == "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*"
                continue
            conditions = statement["Condition"]["StringEquals"]

            assert conditions["aws:PrincipalAccount"] == "000000000000", service
            assert service != "s3" or conditions["aws:ResourceAccount"] == "000000000000"
            assert not {"*", f"{service}:*"} & set(statement["Action"]), service


@pytest.mark.parametrize(("name", "tier"), [("dev", "public"), ("standard", "private"), ("ha-dr", "private")])
def test_the_list_of_the_database_admits_the_subnets_of_the_tasks_only(
    deployments: Deployments, name: str, tier: str
) -> None:
    deployment = deployments(name)
    rules = [
        it.properties
        for it in deployment.all("AWS::EC2::NetworkAclEntry")
        if it.path.startswith("signalbox-network/Network/IsolatedList/")
    ]
    blocks = {subnet.properties["CidrBlock"] for subnet in _tiers(deployment)[tier]}
    ways = {(it.get("Egress", False), it["CidrBlock"], it["PortRange"]["From"], it["PortRange"]["To"]) for it in rules}

    assert ways == {(False, block, 5432, 5432) for block in blocks} | {(True, block, 1024, 65535) for block in blocks}
    assert {(it["RuleAction"], it["Protocol"]) for it in rules} == {("allow", 6)}


@pytest.mark.parametrize("name", OWN)
def test_every_subnet_has_a_list_of_its_tier(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    listed = {
        str(deployment.refers(it, it.properties["SubnetId"]))
        for it in deployment.all("AWS::EC2::SubnetNetworkAclAssociation")
    }

    assert len(listed) == len(deployment.all("AWS::EC2::Subnet"))


@pytest.mark.parametrize("name", OWN)
def test_a_schedule_empties_the_default_group_and_may_do_nothing_else(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    schedules = [
        it.properties for it in deployment.all("AWS::Scheduler::Schedule") if "/Network/DefaultGroup/" in it.path
    ]
    policy = deployment.one("AWS::IAM::Policy", "signalbox-network/Network/DefaultGroup/Role").properties

    assert {it["Target"]["Arn"] for it in schedules} == {
        "arn:aws:scheduler:::aws-sdk:ec2:revokeSecurityGroupIngress",
        "arn:aws:scheduler:::aws-sdk:ec2:revokeSecurityGroupEgress",
    }
    for schedule in schedules:
        asked = json.loads("".join(part if isinstance(part, str) else "GROUP" for part in _parts(schedule)))
        inbound = schedule["Target"]["Arn"].endswith("Ingress")
        peer = {"UserIdGroupPairs": [{"GroupId": "GROUP"}]} if inbound else {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}

        assert asked == {"GroupId": "GROUP", "IpPermissions": [{"IpProtocol": "-1", **peer}]}
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == {"ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"}
    assert "DefaultSecurityGroup" in json.dumps(statement["Resource"])


def _parts(schedule: dict[str, Any]) -> list[object]:
    return schedule["Target"]["Input"]["Fn::Join"][1]


def test_a_vpc_that_is_brought_along_is_left_as_it_is(deployments: Deployments) -> None:
    kinds = {it.kind for it in deployments("byo").resources if it.name.startswith("signalbox-network/")}

    assert kinds == {"AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint"}


@pytest.mark.parametrize(
    "kind", ["AWS::EC2::VPCPeeringConnection", "AWS::EC2::TransitGatewayAttachment", "AWS::EC2::VPNGateway"]
)
def test_no_network_but_this_one_is_connected(deployment: Deployment, kind: str) -> None:
    assert kind not in {resource.kind for resource in deployment.resources}
