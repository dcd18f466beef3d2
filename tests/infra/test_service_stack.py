"""Service: the image by digest, least privilege for each process, a migration first, a roll-out that goes back."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from support.templates import Deployment, Resource

PROCESSES = ("Serve", "Reconcile")
CONTAINERS = ("migrate", "signalbox")
MATRIX = ("dev", "standard", "lean", "ha-dr", "byo")

Deployments = Callable[[str], Deployment]


@pytest.fixture(params=MATRIX)
def each(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    """Every configuration of the matrix in turn."""
    return deployments(request.param)


@pytest.fixture
def standard(deployments: Deployments) -> Deployment:
    return deployments("standard")


def _task(deployment: Deployment, process: str) -> dict[str, Any]:
    return deployment.one("AWS::ECS::TaskDefinition", f"/{process}/").properties


def _container(deployment: Deployment, process: str, name: str = "signalbox") -> dict[str, Any]:
    containers = {it["Name"]: it for it in _task(deployment, process)["ContainerDefinitions"]}
    assert set(containers) == set(CONTAINERS)
    return containers[name]


def _environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["Name"]: entry["Value"] for entry in container["Environment"]}


def _granted(deployment: Deployment, policy: Resource) -> dict[str, Resource | str]:
    """Action to resource; the resource that a Ref, a GetAtt or a text that is joined from one leads to."""
    found: dict[str, Resource | str] = {}
    for statement in policy.properties["PolicyDocument"]["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        found |= {action: deployment.refers(policy, statement["Resource"]) for action in actions}
    return found


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_root_no_capability_and_no_writable_disk_but_tmp(
    each: Deployment, process: str, name: str
) -> None:
    container = _container(each, process, name)

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["User"])
    assert container["Privileged"] is False
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    (mount,) = container["MountPoints"]
    assert (mount["ContainerPath"], mount["SourceVolume"]) == ("/tmp", "tmp")  # noqa: S108 - the container's
    assert _task(each, process)["Volumes"] == [{"Name": "tmp"}]


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", CONTAINERS)
def test_the_image_is_a_constant_with_a_digest(each: Deployment, process: str, name: str) -> None:
    image = _container(each, process, name)["Image"]

    assert re.fullmatch(r"\d{12}\.dkr\.ecr\.us-east-1\.amazonaws\.com/[a-z/]+@sha256:[0-9a-f]{64}", image)


def test_synthesis_builds_no_image_and_bundles_no_file(each: Deployment) -> None:
    for stack in each.templates:
        assets = json.loads((each.directory / f"{stack}.assets.json").read_text())

        assert assets["dockerImages"] == {}
        assert [file["source"]["path"] for file in assets["files"].values()] == [f"{stack}.template.json"]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_process_starts_once_the_schema_is_up_to_date(each: Deployment, process: str) -> None:
    migrate, main = (_container(each, process, name) for name in CONTAINERS)

    assert main["DependsOn"] == [{"ContainerName": "migrate", "Condition": "SUCCESS"}]
    assert migrate["Command"][:2] == ["signalbox", "migrate"]
    assert migrate["Essential"] is False  # ECS waits for the success of such a container only
    assert main["Essential"] is True
    assert "StartTimeout" not in migrate  # Fargate's longest is two minutes; a migration takes what it takes


@pytest.mark.parametrize("process", PROCESSES)
def test_the_migration_alone_gets_the_master_password(each: Deployment, process: str) -> None:
    task = each.one("AWS::ECS::TaskDefinition", f"/{process}/")
    secrets = {it["Name"]: it["ValueFrom"] for it in _container(each, process, "migrate")["Secrets"]}
    own = {it["Name"] for it in _container(each, process).get("Secrets", [])}

    assert set(secrets) == {"PGUSER", "PGPASSWORD"}
    for value in secrets.values():
        assert "Fn::Join" in value, "by reference, never by value"
        assert each.refers(task, value["Fn::Join"][1][0]) == "/signalbox/database/secret-arn"
    assert not any(name.startswith("PG") for name in own)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_process_logs_in_with_iam_as_a_user_that_the_migration_makes(each: Deployment, process: str) -> None:
    environment = _environment(_container(each, process))
    command = _container(each, process, "migrate")["Command"]
    policy = each.one("AWS::IAM::Policy", f"/{process}/TaskRole/")
    (statement,) = policy.properties["PolicyDocument"]["Statement"]
    arn = statement["Resource"]["Fn::Join"][1]

    assert (environment["PGUSER"], environment["SIGNALBOX_DATABASE_LOGIN"]) == ("signalbox_app", "iam")
    assert command[command.index("--app-role") + 1] == environment["PGUSER"]
    assert statement["Action"] == "rds-db:connect"
    assert (arn[0], arn[-1]) == ("arn:aws:rds-db:us-east-1:000000000000:dbuser:", "/signalbox_app")
    assert each.refers(policy, arn[1]) == "/signalbox/database/resource-id"


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", CONTAINERS)
def test_no_credential_is_a_plain_variable_and_the_client_checks_the_database(
    each: Deployment, process: str, name: str
) -> None:
    environment = _environment(_container(each, process, name))

    assert not any(re.search("PASSWORD|SECRET|TOKEN|KEY", variable) for variable in environment)
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["PGSSLROOTCERT"].startswith("/etc/ssl/certs/")
    assert (environment["PGPORT"], environment["PGDATABASE"]) == ("5432", "signalbox")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_container_says_whether_it_is_well(each: Deployment, process: str) -> None:
    check = _container(each, process)["HealthCheck"]

    assert check["Command"] == ["CMD", "signalbox", "health", process.lower()]
    assert check["Interval"] * check["Retries"] <= 120


def test_only_serve_listens_and_only_with_tls(standard: Deployment) -> None:
    environment = _environment(_container(standard, "Serve"))

    assert [mapping["ContainerPort"] for mapping in _container(standard, "Serve")["PortMappings"]] == [8443]
    assert environment["SIGNALBOX_LISTEN"] == "0.0.0.0:8443"
    assert environment["SIGNALBOX_TLS"] == "self-signed"
    assert "PortMappings" not in _container(standard, "Reconcile")
    assert "PortMappings" not in _container(standard, "Serve", "migrate")


def test_the_gateway_is_told_the_issuer_of_the_pool(standard: Deployment) -> None:
    task = standard.one("AWS::ECS::TaskDefinition", "/Serve/")
    environment = _environment(_container(standard, "Serve"))

    client = standard.refers(task, environment["SIGNALBOX_OIDC_CLIENT_ID"])
    assert client == standard.one("AWS::Cognito::UserPoolClient")
    pool = standard.refers(task, environment["SIGNALBOX_OIDC_ISSUER"]["Fn::Join"][1][1])
    assert pool == standard.one("AWS::Cognito::UserPool")
    assert not any(name.startswith("SIGNALBOX_OIDC") for name in _environment(_container(standard, "Reconcile")))


def test_an_issuer_that_was_brought_along_is_passed_on_and_its_secret_only_by_reference(
    deployments: Deployments,
) -> None:
    byo = deployments("byo")
    container = _container(byo, "Serve")
    secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:signalbox-oidc-AbCdEf"

    assert _environment(container)["SIGNALBOX_OIDC_ISSUER"] == "https://login.example.com/realms/platform"
    assert container["Secrets"] == [{"Name": "SIGNALBOX_OIDC_CLIENT_SECRET", "ValueFrom": secret}]
    assert secret in str(_granted(byo, byo.one("AWS::IAM::Policy", "/Serve/ExecutionRole/")).values())
    assert secret not in json.dumps(byo.one("AWS::IAM::Policy", "/Reconcile/ExecutionRole/").properties)


@pytest.mark.parametrize("process", PROCESSES)
def test_the_task_runs_on_arm_under_roles_of_its_own(each: Deployment, process: str) -> None:
    definition = each.one("AWS::ECS::TaskDefinition", f"/{process}/")
    task = definition.properties

    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert task["RequiresCompatibilities"] == ["FARGATE"]
    for role in ("TaskRole", "ExecutionRole"):
        assert each.refers(definition, task[f"{role}Arn"]) == each.one("AWS::IAM::Role", f"/{process}/{role}/")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_roll_out_keeps_what_serves_and_goes_back_by_itself(each: Deployment, process: str) -> None:
    service = each.one("AWS::ECS::Service", f"/{process}/")

    assert service.properties["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
    breaker = service.properties["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    assert breaker == {"Enable": True, "Rollback": True}
    assert service.properties["AvailabilityZoneRebalancing"] == "ENABLED"
    assert service.properties["EnableExecuteCommand"] is False
    assert "DesiredCount" not in service.properties  # an update would undo what autoscaling has made of it
    rights = {name for name in service.definition["DependsOn"] if "ExecutionRole" in name or "SecurityGroup" in name}
    assert len(rights) >= 4, "a task must not start before its rights and rules are there"


@pytest.mark.parametrize(
    ("name", "tier", "address"),
    [
        ("standard", "privateSubnet", "DISABLED"),
        ("ha-dr", "privateSubnet", "DISABLED"),
        ("dev", "publicSubnet", "ENABLED"),
    ],
)
def test_tasks_stand_in_the_tier_that_the_settings_say(
    deployments: Deployments, name: str, tier: str, address: str
) -> None:
    deployment = deployments(name)
    for service in deployment.all("AWS::ECS::Service"):
        network = service.properties["NetworkConfiguration"]["AwsvpcConfiguration"]
        subnets = [deployment.refers(service, value) for value in network["Subnets"]]

        assert network["AssignPublicIp"] == address
        assert len(subnets) == 3
        assert all(isinstance(subnet, Resource) and f"/{tier}" in subnet.path for subnet in subnets)


def test_a_task_with_an_address_of_its_own_is_still_entered_through_the_load_balancer_alone(
    deployments: Deployments,
) -> None:
    dev = deployments("dev")
    inbound = {rule for rule in dev.rules("Ingress") if rule.target in PROCESSES}

    assert {(rule.source, rule.target, rule.ports) for rule in inbound} == {("Edge", "Serve", (8443, 8443))}


@pytest.mark.parametrize("process", PROCESSES)
def test_the_way_out_is_the_database_and_aws(deployments: Deployments, process: str) -> None:
    def out(name: str) -> set[tuple[str, int]]:
        rules = [rule for rule in deployments(name).rules("Egress") if rule.source == process]
        return {(rule.target, rule.ports[0]) for rule in rules if rule.target != "255.255.255.255/32"}

    assert out("standard") == {("Database", 5432), ("Network/Endpoints", 443), ("pl-63a5400a", 443)}
    assert out("dev") == {("Database", 5432), ("0.0.0.0/0", 443)}


def test_serve_stands_behind_the_load_balancer(each: Deployment) -> None:
    service = each.one("AWS::ECS::Service", "/Serve/")
    (attachment,) = service.properties["LoadBalancers"]

    assert (attachment["ContainerName"], attachment["ContainerPort"]) == ("signalbox", 8443)
    group = each.one("AWS::ElasticLoadBalancingV2::TargetGroup")
    assert each.refers(service, attachment["TargetGroupArn"]) == group
    assert "LoadBalancers" not in each.one("AWS::ECS::Service", "/Reconcile/").properties


@pytest.mark.parametrize("process", PROCESSES)
def test_an_execution_role_may_start_this_task_and_nothing_more(standard: Deployment, process: str) -> None:
    policy = standard.one("AWS::IAM::Policy", f"/{process}/ExecutionRole/")
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/signalbox"
    logs = standard.one("AWS::Logs::LogGroup", f"/{process}/")
    secret = "/signalbox/database/secret-arn"

    assert _granted(standard, policy) == {
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchCheckLayerAvailability": repository,
        "ecr:BatchGetImage": repository,
        "ecr:GetDownloadUrlForLayer": repository,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
        "secretsmanager:DescribeSecret": secret,
        "secretsmanager:GetSecretValue": secret,
        "kms:Decrypt": standard.one("AWS::KMS::Key", "signalbox-keys/Data"),
    }
    statements = policy.properties["PolicyDocument"]["Statement"]
    (decrypt,) = [statement for statement in statements if statement["Action"] == "kms:Decrypt"]
    assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}


def test_every_role_of_a_process_trusts_ecs_for_this_account_only(each: Deployment) -> None:
    roles = [role for role in each.all("AWS::IAM::Role") if role.name.startswith("signalbox-service/")]

    assert len(roles) == 4
    for role in roles:
        (statement,) = role.properties["AssumeRolePolicyDocument"]["Statement"]

        assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "000000000000"}
        assert ":000000000000:" in statement["Condition"]["ArnLike"]["aws:SourceArn"]
        assert not {"ManagedPolicyArns", "Policies"} & set(role.properties)


def test_the_disks_of_tasks_are_under_our_key_which_admits_fargate_for_this_cluster_only(
    standard: Deployment,
) -> None:
    cluster = standard.one("AWS::ECS::Cluster")
    storage = cluster.properties["Configuration"]["ManagedStorageConfiguration"]
    key = standard.one("AWS::KMS::Key", "signalbox-keys/Operations")
    admitted = [
        statement
        for statement in key.properties["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"Service": "fargate.amazonaws.com"}
    ]

    assert standard.refers(cluster, storage["FargateEphemeralStorageKmsKeyId"]) == key
    assert {statement["Action"] for statement in admitted} == {
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:CreateGrant",
    }
    for statement in admitted:
        assert statement["Condition"]["StringEquals"] == {
            "kms:EncryptionContext:aws:ecs:clusterAccount": "000000000000",
            "kms:EncryptionContext:aws:ecs:clusterName": cluster.properties["ClusterName"],
        }


def test_a_key_that_was_brought_along_encrypts_disks_and_logs(deployments: Deployments) -> None:
    byo = deployments("byo")
    key = "arn:aws:kms:us-east-1:000000000000:key/22222222-2222-2222-2222-222222222222"
    storage = byo.one("AWS::ECS::Cluster").properties["Configuration"]["ManagedStorageConfiguration"]

    assert storage == {"FargateEphemeralStorageKmsKeyId": key}
    assert {it.properties["KmsKeyId"] for it in byo.all("AWS::Logs::LogGroup") if "-service/" in it.name} == {key}


def test_the_cluster_is_watched_and_has_no_shell_to_log(each: Deployment) -> None:
    cluster = each.one("AWS::ECS::Cluster").properties

    assert {"Name": "containerInsights", "Value": "enabled"} in cluster["ClusterSettings"]
    assert cluster["Configuration"]["ExecuteCommandConfiguration"] == {"Logging": "NONE"}
