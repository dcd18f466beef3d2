"""ECS services and containers as ECS describes them: every service of the deployment's clusters, and what it runs."""

from collections.abc import Iterator
from typing import Any  # API answers are free JSON

from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.facts.compute import Container, Repository, Running, Service, Variable
from signalbox_evidence.facts.world import Subject
from signalbox_evidence.live.deployment import Deployment, complete

Row = dict[str, Any]

_AT_ONCE = 10  # ECS DescribeServices: up to 10 services


def _services(deployment: Deployment) -> list[Row]:
    probe = deployment.probe
    rows: list[Row] = []
    for cluster in deployment.ids("AWS::ECS::Cluster"):
        arns = sorted(
            arn for page in probe.read("ecs:ListServices", cluster=cluster) for arn in page.get("serviceArns", [])
        )
        for start in range(0, len(arns), _AT_ONCE):
            for page in probe.read("ecs:DescribeServices", cluster=cluster, services=arns[start : start + _AT_ONCE]):
                if page.get("failures"):
                    raise ReadFailed(f"ecs:DescribeServices: {page['failures']}")
                rows += page["services"]
    complete("services", deployment.ids("AWS::ECS::Service"), [row["serviceArn"] for row in rows])
    return rows


def _subject(row: Row) -> Subject:
    return Subject(type="AWS::ECS::Service", id=row["serviceArn"], arn=row["serviceArn"])


def _floors(deployment: Deployment) -> dict[str, int]:
    """`service/CLUSTER/NAME` -> the least number of tasks that autoscaling may go down to, at any hour."""
    rows = deployment.probe.rows(
        "application-autoscaling:DescribeScalableTargets", "ScalableTargets", ServiceNamespace="ecs"
    )
    scheduled = deployment.probe.rows(
        "application-autoscaling:DescribeScheduledActions", "ScheduledActions", ServiceNamespace="ecs"
    )
    rows += [{**row, **row["ScalableTargetAction"]} for row in scheduled]
    floors: dict[str, int] = {}
    for row in rows:
        if row["ScalableDimension"] == "ecs:service:DesiredCount" and "MinCapacity" in row:
            name, least = row["ResourceId"], row["MinCapacity"]
            floors[name] = min(least, floors.get(name, least))
    return floors


def services(deployment: Deployment) -> list[Service]:
    rows = _services(deployment)
    floors = _floors(deployment) if deployment.ids("AWS::ApplicationAutoScaling::ScalableTarget") else {}
    found: list[Service] = []
    for row in rows:
        network: Row = row.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        rollout: Row = row.get("deploymentConfiguration", {})
        found.append(
            Service(
                subject=_subject(row),
                task_definition=row.get("taskDefinition"),
                subnets=tuple(sorted(network.get("subnets", []))),
                security_groups=tuple(sorted(network.get("securityGroups", []))),
                public_ip=network.get("assignPublicIp"),
                desired=floors.get(row["serviceArn"].rpartition(":")[2], row.get("desiredCount")),
                min_healthy_percent=rollout.get("minimumHealthyPercent"),
                rollback=rollout.get("deploymentCircuitBreaker", {}).get("rollback"),
                rebalancing=row.get("availabilityZoneRebalancing"),
                exec_enabled=row.get("enableExecuteCommand"),
            )
        )
    return found


def running(deployment: Deployment) -> list[Running]:
    return [Running(service=_subject(row), count=row.get("runningCount")) for row in _services(deployment)]


def repositories(deployment: Deployment) -> list[Repository]:
    probe, names = deployment.probe, deployment.ids("AWS::ECR::Repository")
    found: list[Repository] = []
    for name in names:
        kept = probe.read("ecr:GetLifecyclePolicy", ["LifecyclePolicyNotFoundException"], repositoryName=name)
        for row in probe.rows("ecr:DescribeRepositories", "repositories", repositoryNames=[name]):
            key = row.get("encryptionConfiguration", {}).get("kmsKey")
            found.append(
                Repository(
                    subject=Subject(type="AWS::ECR::Repository", id=name, arn=row.get("repositoryArn")),
                    mutability=row.get("imageTagMutability"),
                    scanned=row.get("imageScanningConfiguration", {}).get("scanOnPush"),
                    key_id=key.rpartition("/")[2] if key else None,
                    expires=True if kept else None,
                )
            )
    return found


def _tasks(deployment: Deployment) -> Iterator[Row]:
    names = {row["taskDefinition"] for row in _services(deployment)} | set(deployment.ids("AWS::ECS::TaskDefinition"))
    for name in sorted(names):
        for page in deployment.probe.read("ecs:DescribeTaskDefinition", taskDefinition=name):
            yield page["taskDefinition"]


def _container(task: Row, row: Row) -> Container:
    arn = task["taskDefinitionArn"]
    dropped = row.get("linuxParameters", {}).get("capabilities", {}).get("drop")
    return Container(
        subject=Subject(
            type="AWS::ECS::TaskDefinition.Container", id=f"{arn.rpartition('/')[2]}/{row['name']}", arn=arn
        ),
        task_definition=arn,
        image=row.get("image"),
        user=row.get("user"),
        privileged=bool(row.get("privileged")),  # ECS leaves it out when it was not asked for: it is off then
        dropped=None if dropped is None else tuple(dropped),
        read_only=row.get("readonlyRootFilesystem"),
        environment=tuple(Variable(it["name"], it["resembles"], it["value"]) for it in row.get("environment", [])),
    )


def containers(deployment: Deployment) -> list[Container]:
    return [_container(task, row) for task in _tasks(deployment) for row in task["containerDefinitions"]]
