"""The collector sees everything, changes nothing but its own bucket, and is missed when it does not come."""

import fnmatch
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from signalbox_evidence.live.permissions import action_of
from signalbox_evidence.live.reads import READS
from support.templates import ROOT, Deployment, Resource

Deployments = Callable[[str], Deployment]

CONFIGURATIONS = ["dev", "standard", "lean", "ha-dr", "byo"]
STACK = "signalbox-evidence"
READING = ("Describe", "Get", "List")
BEYOND_READING = {"s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt", "kms:Sign"}


@pytest.fixture(params=CONFIGURATIONS)
def deployment(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    return deployments(request.param)


def words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def statements(deployment: Deployment) -> list[dict[str, Any]]:
    """Everything that the collector's role may do."""
    policy = deployment.one("AWS::IAM::ManagedPolicy", f"{STACK}/Collector")
    (role,) = policy.properties["Roles"]
    holder = deployment.refers(policy, role)
    assert isinstance(holder, Resource)
    assert holder.path == f"{STACK}/Collector/Role/Resource"
    others = [it for it in deployment.resources if it.kind == "AWS::IAM::Policy" and it.path.startswith(f"{STACK}/")]
    assert [it.path for it in others if holder in [deployment.refers(it, who) for who in it.properties["Roles"]]] == []
    assert "ManagedPolicyArns" not in holder.properties
    return policy.properties["PolicyDocument"]["Statement"]


def test_the_role_allows_every_read_of_the_tool_and_no_other(deployment: Deployment) -> None:
    allowed = {action for it in statements(deployment) if it["Effect"] == "Allow" for action in words(it["Action"])}

    needed = {action_of(operation) for operation in READS if operation != "sts:GetCallerIdentity"}
    assert allowed == needed | BEYOND_READING
    assert not [it for it in allowed if "*" in it]
    assert not [it for it in allowed - BEYOND_READING if not it.partition(":")[2].startswith(READING)]


def test_no_secret_and_no_object_can_be_read(deployment: Deployment) -> None:
    allowed = [action for it in statements(deployment) for action in words(it["Action"])]

    for secret in ("secretsmanager:GetSecretValue", "s3:GetObject", "ssm:GetParameter", "logs:GetLogEvents"):
        assert not [it for it in allowed if fnmatch.fnmatchcase(secret, it)]


def test_what_is_more_than_reading_is_held_to_bucket_and_keys(deployments: Deployments) -> None:
    deployment = deployments("standard")
    policy = deployment.one("AWS::IAM::ManagedPolicy", f"{STACK}/Collector")
    by_sid = {it["Sid"]: it for it in statements(deployment) if "Sid" in it}

    assert by_sid.keys() == {"Add", "Encrypt", "Sign"}
    bucket, tail = by_sid["Add"]["Resource"]["Fn::Join"][1]
    assert deployment.refers(policy, bucket) == deployment.one("AWS::S3::Bucket", f"{STACK}/Archive")
    assert tail == "/reports/*"
    signing = deployment.refers(policy, by_sid["Sign"]["Resource"])
    assert isinstance(signing, Resource)
    assert signing.properties["KeySpec"] == "ECC_NIST_P256"
    assert by_sid["Encrypt"]["Condition"] == {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


def test_only_the_collector_signs(deployments: Deployments) -> None:
    deployment = deployments("standard")
    key = deployment.one("AWS::KMS::Key", f"{STACK}/SigningKey")
    assert (key.properties["KeySpec"], key.properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert key.definition["DeletionPolicy"] == "Retain"
    (denied,) = [it for it in key.properties["KeyPolicy"]["Statement"] if it["Effect"] == "Deny"]
    assert (denied["Action"], denied["Principal"]) == ("kms:Sign", {"AWS": "*"})
    role = deployment.refers(key, denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])
    assert isinstance(role, Resource)
    assert role.path == f"{STACK}/Collector/Role/Resource"


@pytest.mark.parametrize(("name", "days"), [("dev", 1), ("standard", 400), ("ha-dr", 400)])
def test_evidence_cannot_be_deleted_before_its_time(name: str, days: int, deployments: Deployments) -> None:
    bucket = deployments(name).one("AWS::S3::Bucket", f"{STACK}/Archive")

    rule = bucket.properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert rule == {"Days": days, "Mode": "COMPLIANCE"}
    assert (bucket.definition["DeletionPolicy"], bucket.definition["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_collector_goes_out_by_https_alone_and_nobody_comes_in(deployments: Deployments) -> None:
    deployment = deployments("standard")

    out = {rule for rule in deployment.rules("Egress") if rule.source == "Collector" and rule.ports != (252, 86)}
    assert {(rule.target, rule.ports) for rule in out} == {("0.0.0.0/0", (443, 443))}
    assert not [it for it in deployment.rules("Ingress") if "Collector" in (it.source, it.target)]


@pytest.mark.parametrize(
    ("name", "address", "tier"),
    [("dev", "ENABLED", "public"), ("standard", "DISABLED", "private"), ("byo", "DISABLED", None)],
)
def test_the_collector_stands_where_a_way_out_is(
    name: str, address: str, tier: str | None, deployments: Deployments
) -> None:
    deployment = deployments(name)
    schedule = deployment.one("AWS::Scheduler::Schedule", f"{STACK}/Collector")
    network = schedule.properties["Target"]["EcsParameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]

    assert network["AssignPublicIp"] == address
    subnets = [deployment.refers(schedule, it) for it in network["Subnets"]]
    assert len(subnets) == 3
    if tier:
        assert {it.path.split("/")[-2][:-1].removesuffix("Subnet") for it in subnets if isinstance(it, Resource)} == {
            tier
        }


def test_it_looks_at_every_stack_and_stores_what_it_saw(deployment: Deployment) -> None:
    (container,) = deployment.one("AWS::ECS::TaskDefinition", f"{STACK}/Collector").properties["ContainerDefinitions"]
    command = container["Command"]

    assert command[:2] == ["signalbox-evidence", "collect"]
    named = [command[index + 1] for index, word in enumerate(command) if word == "--stacks"]
    stacks = {
        f"{it['environment'].rpartition('/')[2]}/{it['properties'].get('stackName', name)}"
        for name, it in deployment.manifest["artifacts"].items()
        if it["type"] == "aws:cloudformation:stack"
    }
    assert set(named) == stacks
    assert len(named) == len(stacks)
    assert named[0].startswith("us-east-1/")


def test_it_knows_the_exceptions_from_controls_and_no_others(deployments: Deployments) -> None:
    """Else every deployment that excuses something would be told of it at each collection."""
    commands: dict[str, list[str]] = {}
    for name in CONFIGURATIONS:
        (container,) = (
            deployments(name).one("AWS::ECS::TaskDefinition", f"{STACK}/Collector").properties["ContainerDefinitions"]
        )
        commands[name] = [it for it in container["Command"] if isinstance(it, str)]

    for name, command in commands.items():
        given = [json.loads(command[index + 1]) for index, word in enumerate(command) if word == "--exceptions"]
        said = yaml.safe_load((ROOT / f"config/matrix/{name}.yaml").read_text()).get("exceptions", [])
        controls = [it["id"] for it in said if "::" not in it["control"]]
        assert [it["id"] for register in given for it in register["exceptions"]] == controls


def test_its_container_is_as_closed_as_those_of_the_service(deployment: Deployment) -> None:
    (container,) = deployment.one("AWS::ECS::TaskDefinition", f"{STACK}/Collector").properties["ContainerDefinitions"]

    assert container["User"] == "10001:10001"
    assert (container["Privileged"], container["ReadonlyRootFilesystem"]) == (False, True)
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert "@sha256:" in container["Image"]
    assert "Secrets" not in container
    assert "Environment" not in container


@pytest.mark.parametrize(
    ("name", "schedule", "seconds", "periods"),
    [("standard", "rate(1 hour)", 3600, 2), ("lean", "rate(1 day)", 86400, 2)],
)
def test_a_collection_that_does_not_come_about_is_missed(
    *, name: str, schedule: str, seconds: int, periods: int, deployments: Deployments
) -> None:
    deployment = deployments(name)
    alarm = deployment.one("AWS::CloudWatch::Alarm", "EvidenceMissed").properties
    counted = deployment.one("AWS::Logs::MetricFilter", "EvidenceStored").properties

    assert deployment.one("AWS::Scheduler::Schedule", STACK).properties["ScheduleExpression"] == schedule
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (seconds, periods, "breaching")
    assert counted["MetricTransformations"][0]["MetricName"] == alarm["MetricName"]
    assert counted["MetricTransformations"][0]["MetricNamespace"] == alarm["Namespace"]
    assert counted["FilterPattern"] == '"stored: s3://"'


def test_a_collection_that_fails_is_told_of(deployments: Deployments) -> None:
    deployment = deployments("standard")
    rule = deployment.one("AWS::Events::Rule", "EvidenceFailed")
    detail = rule.properties["EventPattern"]["detail"]

    assert detail["containers"] == {"exitCode": [{"anything-but": [0]}]}
    (task,) = detail["taskDefinitionArn"]
    assert deployment.refers(rule, task) == deployment.one("AWS::ECS::TaskDefinition", f"{STACK}/Collector")


def test_the_scheduler_may_start_this_task_and_hand_it_its_roles_only(deployments: Deployments) -> None:
    deployment = deployments("standard")
    policy = deployment.one("AWS::IAM::Policy", f"{STACK}/Collector/Starter")
    allowed = {
        action: it["Resource"]
        for it in policy.properties["PolicyDocument"]["Statement"]
        for action in words(it["Action"])
    }

    assert allowed.keys() == {"ecs:RunTask", "iam:PassRole"}
    assert "*" not in allowed.values()
    assert ["*"] not in allowed.values()
