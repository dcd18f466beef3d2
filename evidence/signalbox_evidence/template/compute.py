"""ECS services and containers as the template writes them."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.compute import Container, Repository, Service, Variable
from signalbox_evidence.facts.world import Fact, Subject, Unknown, untold
from signalbox_evidence.secrets import PUBLIC_VARIABLES, resembles
from signalbox_evidence.template.resources import SAFE_DEFAULTS, Resource, Resources, boolean, number, text, texts

_AWSVPC = "NetworkConfiguration.AwsvpcConfiguration"
_TASK = "AWS::ECS::TaskDefinition"


def _desired(resources: Resources, service: Resource) -> Fact[int]:
    """Autoscaling's floor where there is autoscaling, the lowest of any hour; else the desired count."""
    for target in resources.of("AWS::ApplicationAutoScaling::ScalableTarget"):
        scaled = str(target.get("ResourceId"))
        if f"${{{service.id}." in scaled:
            return _floor(target)
    return service.number("DesiredCount")


def _floor(target: Resource) -> Fact[int]:
    scheduled = target.get("ScheduledActions")
    if isinstance(scheduled, Unknown):
        return scheduled
    actions = [it.get("ScalableTargetAction", {}) for it in cast("list[dict[str, Any]]", scheduled or [])]
    written = [action.get("MinCapacity") for action in actions]
    floors = [target.number("MinCapacity"), *(number(it, target.id) for it in written if it is not None)]
    return untold(floors) or min((it for it in floors if isinstance(it, int)), default=None)


def services(resources: Resources) -> list[Service]:
    return [
        Service(
            subject=service.subject,
            task_definition=service.text("TaskDefinition"),
            subnets=service.texts(f"{_AWSVPC}.Subnets"),
            security_groups=service.texts(f"{_AWSVPC}.SecurityGroups"),
            public_ip=service.text(f"{_AWSVPC}.AssignPublicIp"),
            desired=_desired(resources, service),
            min_healthy_percent=service.number("DeploymentConfiguration.MinimumHealthyPercent"),
            rollback=service.boolean("DeploymentConfiguration.DeploymentCircuitBreaker.Rollback"),
            rebalancing=service.text("AvailabilityZoneRebalancing"),
            exec_enabled=service.boolean("EnableExecuteCommand"),
        )
        for service in resources.of("AWS::ECS::Service")
    ]


def repositories(resources: Resources) -> list[Repository]:
    return [
        Repository(
            subject=it.subject,
            mutability=it.text("ImageTagMutability"),
            scanned=it.boolean("ImageScanningConfiguration.ScanOnPush"),
            key_id=it.text("EncryptionConfiguration.KmsKey"),
            expires=True if it.get("LifecyclePolicy.LifecyclePolicyText") else None,
        )
        for it in resources.of("AWS::ECR::Repository")
    ]


def _variable(task: Resource, row: dict[str, Any]) -> Variable | Unknown:
    # a dynamic reference to a secret ends up as plain text in the task: its kind is told although its value is not
    name, value = text(task.resolve(row.get("Name"))), task.resolve(row.get("Value", ""))
    if not isinstance(name, str):
        return Unknown(f"{task.id}: the name of a variable is known only after deployment")
    shown = value.reason if isinstance(value, Unknown) else str(value)
    kind = resembles(name, shown)
    if isinstance(value, Unknown) and kind is None:
        return Unknown(f"{task.id} variable {name}: {value.reason}")
    return Variable(name, kind, shown if name in PUBLIC_VARIABLES else None)


def _environment(task: Resource, rows: Any) -> Fact[tuple[Variable, ...]]:
    found: list[Variable] = []
    for row in cast("list[dict[str, Any]]", rows or []):
        variable = _variable(task, row)
        if isinstance(variable, Unknown):
            return variable
        found.append(variable)
    return tuple(found)


def _container(task: Resource, row: dict[str, Any]) -> Container:
    def read(name: str) -> Any:
        return task.resolve(row.get(name))

    kernel = read("LinuxParameters")
    dropped: Any = kernel
    for name in ("Capabilities", "Drop"):
        dropped = dropped if isinstance(dropped, Unknown) else cast("dict[str, Any]", dropped or {}).get(name)
    privileged = read("Privileged")
    default = SAFE_DEFAULTS[_TASK, "Privileged"]
    where = f"{task.id}/{row.get('Name')}"
    return Container(
        subject=Subject(type=f"{_TASK}.Container", id=where, name=task.subject.name),
        task_definition=task.id,
        image=text(read("Image")),
        user=text(read("User")),
        privileged=boolean(default if privileged is None else privileged, where),
        dropped=texts(dropped, where),
        read_only=boolean(read("ReadonlyRootFilesystem"), where),
        environment=_environment(task, row.get("Environment")),
    )


def containers(resources: Resources) -> list[Container]:
    return [
        _container(task, row)
        for task in resources.of(_TASK)
        for row in task.raw.get("Properties", {}).get("ContainerDefinitions", [])
    ]
