"""A deployment into what somebody brought along: network, keys, certificate, secret and boundary that exist already."""

from pathlib import Path
from typing import Any

import pytest

from stacks.matrix import settings_of, synthesise
from support.copied_project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JsonObject = dict[str, Any]


def _bring_along(account: Any) -> dict[str, object]:
    """Make in the account what config/matrix/byo.yaml names, and return the settings with the ids that came out."""
    ec2, kms = account.client("ec2"), account.client("kms")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    subnets = {
        tier: [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.60.{8 * i + j}.0/24", AvailabilityZone=f"us-east-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for j, zone in enumerate("abc")
        ]
        for i, tier in enumerate(("public", "private", "isolated"))
    }
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    document = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    boundary = account.client("iam").create_policy(PolicyName="workload-boundary", PolicyDocument=document)
    secret = account.client("secretsmanager").create_secret(Name="signalbox-oidc", SecretString="s")["ARN"]
    domain = "signalbox.example.com"
    certificate = account.client("acm").request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]
    return {
        "permission_boundary_arn": boundary["Policy"]["Arn"],
        **{f"keys.{name}_arn": kms.create_key()["KeyMetadata"]["Arn"] for name in ("data", "operations", "evidence")},
        "network.vpc.vpc_id": vpc,
        **{f"network.vpc.{tier}_subnet_ids": ids for tier, ids in subnets.items()},
        "identity.oidc.client_secret_arn": secret,
        "edge.certificate_arn": certificate,
    }


def test_what_was_brought_along_is_used_and_left_alone(account: Any, tmp_path: Path) -> None:
    brought = _bring_along(account)
    project = Project(tmp_path)
    (project.folder / "assembly").rmdir()
    synthesise(settings_of("byo", brought), project.folder / "assembly", second_opinions=False)

    first, second = (project.deploy("--endpoint", account.endpoint) for _ in range(2))

    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    deployed = first.stderr.count(": deployed")
    assert deployed > 4
    assert second.stderr.count(": no changes") == deployed
    (cluster,) = account.client("rds").describe_db_clusters(DBClusterIdentifier="signalbox")["DBClusters"]
    assert cluster["KmsKeyId"] == brought["keys.data_arn"]
    groups = account.client("rds").describe_db_subnet_groups(DBSubnetGroupName=cluster["DBSubnetGroup"])
    placed = {subnet["SubnetIdentifier"] for subnet in groups["DBSubnetGroups"][0]["Subnets"]}
    assert placed == {*_texts(brought["network.vpc.isolated_subnet_ids"])}
    resources = [kind for stack in _stacks(account) for kind in _types(account, stack)]
    assert not {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::CertificateManager::Certificate"} & {*resources}


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - settings are free-form


def _stacks(account: Any) -> list[str]:
    found = account.client("cloudformation").describe_stacks()["Stacks"]
    return [stack["StackName"] for stack in found if stack["StackName"].startswith("signalbox-")]


def _types(account: Any, stack: str) -> list[str]:
    found = account.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return [resource["ResourceType"] for resource in found]
