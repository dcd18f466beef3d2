"""Service: the image by digest, least privilege for each process, and a roll-out that goes back by itself."""

import json
import re
from typing import Any

import pytest

from support.templates import Deployment, Resource

PROCESSES = ("Serve", "Reconcile", "Migrate")


def _task(deployment: Deployment, process: str) -> dict[str, Any]:
    return deployment.one("AWS::ECS::TaskDefinition", f"/{process}/").properties


def _container(deployment: Deployment, process: str) -> dict[str, Any]:
    (container,) = _task(deployment, process)["ContainerDefinitions"]
    return container


@pytest.mark.parametrize("process", PROCESSES)
def test_the_image_is_a_constant_with_a_digest(deployment: Deployment, process: str) -> None:
    image = _container(deployment, process)["Image"]

    assert re.fullmatch(r"\d{12}\.dkr\.ecr\.us-east-1\.amazonaws\.com/signalbox@sha256:[0-9a-f]{64}", image)


def test_synthesis_builds_no_image_and_bundles_no_file(deployment: Deployment) -> None:
    for stack in deployment.templates:
        assets = json.loads((deployment.directory / f"{stack}.assets.json").read_text())

        assert assets["dockerImages"] == {}
        assert [file["source"]["path"] for file in assets["files"].values()] == [f"{stack}.template.json"]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_command_is_the_process(deployment: Deployment, process: str) -> None:
    assert _container(deployment, process)["Command"] == ["signalbox", process.lower()]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_container_has_no_root_no_capability_and_no_writable_disk_but_tmp(
    deployment: Deployment, process: str
) -> None:
    container = _container(deployment, process)

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["User"])
    assert container["Privileged"] is False
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    (mount,) = container["MountPoints"]
    assert (mount["ContainerPath"], mount["SourceVolume"]) == ("/tmp", "tmp")  # noqa: S108 - the container's
    assert _task(deployment, process)["Volumes"] == [{"Name": "tmp"}]


@pytest.mark.parametrize("process", PROCESSES)
def test_credentials_come_from_the_secret_and_never_from_the_environment(deployment: Deployment, process: str) -> None:
    task = deployment.one("AWS::ECS::TaskDefinition", f"/{process}/")
    container = _container(deployment, process)
    secrets = {secret["Name"]: secret["ValueFrom"]["Fn::Join"][1] for secret in container["Secrets"]}

    assert {name: value[1] for name, value in secrets.items()} == {
        "PGUSER": ":username::",
        "PGPASSWORD": ":password::",
    }
    for value in secrets.values():
        assert deployment.refers(task, value[0]) == deployment.one("AWS::RDS::DBCluster")
    plain = {entry["Name"] for entry in container["Environment"]}
    assert not any(re.search("PASSWORD|SECRET|TOKEN|KEY", name) for name in plain)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_client_checks_the_databases_certificate_and_name(deployment: Deployment, process: str) -> None:
    environment = {entry["Name"]: entry["Value"] for entry in _container(deployment, process)["Environment"]}

    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"].startswith("/etc/ssl/certs/")
    assert (environment["PGPORT"], environment["PGDATABASE"]) == ("5432", "signalbox")


def test_only_serve_listens_and_only_with_tls(deployment: Deployment) -> None:
    environment = {entry["Name"]: entry["Value"] for entry in _container(deployment, "Serve")["Environment"]}

    assert [mapping["ContainerPort"] for mapping in _container(deployment, "Serve")["PortMappings"]] == [8443]
    assert environment["SIGNALBOX_LISTEN"] == "0.0.0.0:8443"
    assert environment["SIGNALBOX_TLS"] == "self-signed"
    assert "PortMappings" not in _container(deployment, "Reconcile")
    assert "PortMappings" not in _container(deployment, "Migrate")


@pytest.mark.parametrize("process", PROCESSES)
def test_the_task_runs_on_arm_under_roles_of_its_own(deployment: Deployment, process: str) -> None:
    task = _task(deployment, process)

    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert task["RequiresCompatibilities"] == ["FARGATE"]
    for role in ("TaskRole", "ExecutionRole"):
        definition = deployment.one("AWS::ECS::TaskDefinition", f"/{process}/")
        assert deployment.refers(definition, task[f"{role}Arn"]) == deployment.one(
            "AWS::IAM::Role", f"/{process}/{role}/"
        )


@pytest.mark.parametrize("process", ["Serve", "Reconcile"])
def test_a_service_keeps_two_tasks_and_rolls_back_by_itself(deployment: Deployment, process: str) -> None:
    service = deployment.one("AWS::ECS::Service", f"/{process}/").properties
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]

    assert service["DesiredCount"] >= 2
    assert service["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
    assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert service["AvailabilityZoneRebalancing"] == "ENABLED"
    assert service["EnableExecuteCommand"] is False
    assert network["AssignPublicIp"] == "DISABLED"
    assert len(network["Subnets"]) == 3


def test_services_run_in_the_private_tier(deployment: Deployment) -> None:
    for service in deployment.all("AWS::ECS::Service"):
        for value in service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]:
            subnet = deployment.refers(service, value)
            assert isinstance(subnet, Resource)
            assert "/privateSubnet" in subnet.path


def test_serve_stands_behind_the_load_balancer(deployment: Deployment) -> None:
    service = deployment.one("AWS::ECS::Service", "/Serve/")
    (attachment,) = service.properties["LoadBalancers"]

    assert attachment["ContainerPort"] == 8443
    assert deployment.refers(service, attachment["TargetGroupArn"]) == deployment.one(
        "AWS::ElasticLoadBalancingV2::TargetGroup"
    )
    assert "LoadBalancers" not in deployment.one("AWS::ECS::Service", "/Reconcile/").properties


def test_no_task_role_may_do_anything_in_aws(deployment: Deployment) -> None:
    attached = {
        getattr(deployment.refers(policy, role), "path", "")
        for policy in deployment.all("AWS::IAM::Policy")
        for role in policy.properties["Roles"]
    }

    for role in deployment.all("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role.properties, role.path
        assert "Policies" not in role.properties, role.path
    assert not any("/TaskRole/" in path for path in attached)


@pytest.mark.parametrize("process", PROCESSES)
def test_an_execution_role_may_start_this_task_and_nothing_more(deployment: Deployment, process: str) -> None:
    policy = deployment.one("AWS::IAM::Policy", f"/{process}/ExecutionRole/")
    statements = policy.properties["PolicyDocument"]["Statement"]
    granted = {
        action: deployment.refers(policy, statement["Resource"])
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/signalbox"
    logs = deployment.one("AWS::Logs::LogGroup", f"/{process}/")
    cluster = deployment.one("AWS::RDS::DBCluster")

    assert granted == {
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchCheckLayerAvailability": repository,
        "ecr:BatchGetImage": repository,
        "ecr:GetDownloadUrlForLayer": repository,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
        "secretsmanager:DescribeSecret": cluster,  # GetAtt MasterUserSecret.SecretArn
        "secretsmanager:GetSecretValue": cluster,
        "kms:Decrypt": deployment.one("AWS::KMS::Key", "signalbox-data/Key"),
    }
    (decrypt,) = [statement for statement in statements if statement["Action"] == "kms:Decrypt"]
    assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}


def test_every_role_trusts_one_service_for_this_account_only(deployment: Deployment) -> None:
    for role in deployment.all("AWS::IAM::Role"):
        (statement,) = role.properties["AssumeRolePolicyDocument"]["Statement"]

        assert list(statement["Principal"]) == ["Service"], role.path
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "000000000000"}, role.path
        assert ":000000000000:" in statement["Condition"]["ArnLike"]["aws:SourceArn"], role.path


def test_there_are_no_functions_no_custom_resources_and_no_users(deployment: Deployment) -> None:
    kinds = {resource.kind for resource in deployment.resources}

    assert not {kind for kind in kinds if kind.startswith(("AWS::Lambda", "AWS::CloudFormation", "Custom::"))}
    assert not kinds & {"AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::CDK::Metadata"}


def test_container_insights_watch_the_cluster(deployment: Deployment) -> None:
    settings = deployment.one("AWS::ECS::Cluster").properties["ClusterSettings"]

    assert {"Name": "containerInsights", "Value": "enabled"} in settings
