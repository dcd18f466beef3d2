"""Network: three tiers over three zones, no way out of the database's tier, every flow on record."""

from collections import defaultdict
from typing import Any

import pytest

from support.templates import Deployment, Resource

ZONES = {"us-east-1a", "us-east-1b", "us-east-1c"}


def _tiers(deployment: Deployment) -> dict[str, list[Resource]]:
    tiers = defaultdict[str, list[Resource]](list)
    for subnet in deployment.all("AWS::EC2::Subnet"):
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


def test_each_tier_spans_the_three_configured_zones(deployment: Deployment) -> None:
    tiers = _tiers(deployment)

    assert set(tiers) == {"public", "private", "isolated"}
    for name, subnets in tiers.items():
        assert {subnet.properties["AvailabilityZone"] for subnet in subnets} == ZONES, name
        assert len(subnets) == len(ZONES), name


def test_the_database_lives_in_subnets_without_any_route(deployment: Deployment) -> None:
    group = deployment.one("AWS::RDS::DBSubnetGroup")
    subnets = [deployment.refers(group, value) for value in group.properties["SubnetIds"]]

    assert {subnet.name for subnet in subnets if isinstance(subnet, Resource)} == {
        subnet.name for subnet in _tiers(deployment)["isolated"]
    }
    for subnet in subnets:
        assert isinstance(subnet, Resource)
        assert _routes(deployment, subnet) == [], subnet.path


def test_private_subnets_reach_out_through_nat_and_public_ones_through_the_gateway(deployment: Deployment) -> None:
    tiers = _tiers(deployment)

    for subnet in tiers["private"]:
        assert ["NatGatewayId" in route for route in _routes(deployment, subnet)] == [True], subnet.path
    for subnet in tiers["public"]:
        assert ["GatewayId" in route for route in _routes(deployment, subnet)] == [True], subnet.path


def test_no_subnet_hands_out_public_addresses(deployment: Deployment) -> None:
    for subnet in deployment.all("AWS::EC2::Subnet"):
        assert subnet.properties["MapPublicIpOnLaunch"] is False, subnet.path


def test_all_flows_are_logged(deployment: Deployment) -> None:
    flow_log = deployment.one("AWS::EC2::FlowLog").properties

    assert flow_log["TrafficType"] == "ALL"
    assert flow_log["ResourceType"] == "VPC"


def test_every_log_group_is_encrypted_and_kept_for_more_than_a_year(deployment: Deployment) -> None:
    key = deployment.one("AWS::KMS::Key", "signalbox-network/LogKey")

    for group in deployment.all("AWS::Logs::LogGroup"):
        assert deployment.refers(group, group.properties["KmsKeyId"]) == key, group.path
        assert group.properties["RetentionInDays"] >= 365, group.path
        assert group.definition["DeletionPolicy"] == "Retain", group.path
        assert group.definition["UpdateReplacePolicy"] == "Retain", group.path


def test_the_endpoints_are_those_that_a_task_needs(deployment: Deployment) -> None:
    endpoints = {str(endpoint.properties["ServiceName"]) for endpoint in deployment.all("AWS::EC2::VPCEndpoint")}

    assert {name.rsplit("us-east-1.", 1)[-1] for name in endpoints if "s3" not in name} == {
        "ecr.api",
        "ecr.dkr",
        "logs",
        "secretsmanager",
    }
    assert sum("s3" in name for name in endpoints) == 1


def test_every_endpoint_has_a_policy_that_names_its_actions(deployment: Deployment) -> None:
    for endpoint in deployment.all("AWS::EC2::VPCEndpoint"):
        for statement in endpoint.properties["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]

            assert not any("*" in action for action in actions), endpoint.path
            assert statement["Resource"] != "*" or statement["Condition"]["StringEquals"] == {
                "aws:PrincipalAccount": "000000000000"
            }, endpoint.path


@pytest.mark.parametrize(
    "kind", ["AWS::EC2::VPCPeeringConnection", "AWS::EC2::TransitGatewayAttachment", "AWS::EC2::VPNGateway"]
)
def test_no_network_but_this_one_is_connected(deployment: Deployment, kind: str) -> None:
    assert kind not in {resource.kind for resource in deployment.resources}
