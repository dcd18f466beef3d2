"""Fargate tasks, functions, builds and images."""

from typing import Any, cast  # property values are free JSON

from signalbox_guards.canonical import Json
from signalbox_guards.cost.bill import Bill, Resource
from signalbox_guards.errors import BadInput
from signalbox_guards.intrinsics import references

GROUP = "Compute"
_FREE_EPHEMERAL_GB = 20


def _add_tasks(bill: Bill, definition: Resource, hours: float, *, spot: bool) -> None:
    """`hours`: task-hours a month."""
    properties = definition.properties
    if properties.get("RuntimePlatform", {}).get("OperatingSystemFamily", "LINUX") != "LINUX":
        raise BadInput(f"{definition.address}: wanted a task on Linux: no other is priced")
    arm = properties.get("RuntimePlatform", {}).get("CpuArchitecture") == "ARM64"
    kind = ("spot_" if spot else "") + ("arm" if arm else "x86")
    words = f"Fargate{' Spot' if spot else ''} {'ARM' if arm else 'x86'}"
    vcpu = definition.number(properties.get("Cpu"), "Cpu") / 1024
    memory = definition.number(properties.get("Memory"), "Memory") / 1024
    bill.add(GROUP, f"{words} vCPU", f"fargate/{kind}_vcpu_hour", vcpu * hours)
    bill.add(GROUP, f"{words} memory", f"fargate/{kind}_gb_hour", memory * hours)
    storage = properties.get("EphemeralStorage", {}).get("SizeInGiB", _FREE_EPHEMERAL_GB)
    extra = definition.number(storage, "EphemeralStorage") - _FREE_EPHEMERAL_GB
    if extra > 0:
        bill.add(GROUP, "Fargate ephemeral storage", "fargate/ephemeral_gb_hour", extra * hours)


def _scaling(bill: Bill, service: Resource) -> tuple[float | None, bool]:
    """(the least number of tasks that autoscaling keeps while it runs, whether a schedule stops the service)."""
    for target in bill.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        if service.address in references(target.properties.get("ResourceId")):
            scheduled = cast("list[Json]", target.properties.get("ScheduledActions", []))
            actions: list[Json] = [it.get("ScalableTargetAction", {}) for it in scheduled]
            least = [target.number(it.get("MinCapacity", 0), "MinCapacity") for it in (target.properties, *actions)]
            return max(least), any(str(it.get("MaxCapacity")) == "0" for it in actions)
    return None, False


def _spot_tasks(service: Resource, tasks: float) -> float:
    """How many of the tasks run on spot capacity, by the bases and weights of the service's strategy."""
    strategy = cast("list[Json]", service.properties.get("CapacityProviderStrategy", []))
    rows = [(str(it.get("CapacityProvider")), float(it.get("Base", 0)), float(it.get("Weight", 0))) for it in strategy]
    if foreign := [name for name, _, _ in rows if name not in ("FARGATE", "FARGATE_SPOT")]:
        raise BadInput(f"{service.address}: wanted Fargate, the only capacity priced, got {foreign}")
    based = sum(base for _, base, _ in rows)
    weights = sum(weight for _, _, weight in rows)
    spot_base = sum(base for name, base, _ in rows if name == "FARGATE_SPOT")
    spot_weight = sum(weight for name, _, weight in rows if name == "FARGATE_SPOT")
    if tasks <= based or weights == 0:
        return min(spot_base, tasks)
    return spot_base + (tasks - based) * spot_weight / weights


def price_service(bill: Bill, service: Resource) -> None:
    """The tasks of one service. Autoscaling rests at its minimum; a schedule that stops it leaves `active_hours`."""
    launch = service.properties.get("LaunchType", "FARGATE")
    if launch != "FARGATE":
        raise BadInput(f"{service.address}: LaunchType: wanted FARGATE, the only one priced, got {launch!r}")
    definition = bill.target(service.properties.get("TaskDefinition"))
    if definition is None:
        raise BadInput(f"{service.address}: wanted a task definition of this assembly to price it by")
    desired = service.number(service.properties.get("DesiredCount", 1), "DesiredCount")
    minimum, stops = _scaling(bill, service)
    tasks = desired if minimum is None else max(minimum, desired) * bill.assumed("tasks_over_minimum")
    hours = bill.assumed("active_hours") if stops else bill.assumed("hours")
    spot = _spot_tasks(service, tasks)
    if tasks > spot:
        _add_tasks(bill, definition, (tasks - spot) * hours, spot=False)
    if spot:
        _add_tasks(bill, definition, spot * hours, spot=True)
    network: Any = service.properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", {})
    if network.get("AssignPublicIp") == "ENABLED":
        bill.add("Network", "Public IPv4 addresses", "vpc/ipv4_hour", tasks * hours)


def price_task_definition(bill: Bill, definition: Resource) -> None:
    """A definition that no service runs is run by hand or by a schedule."""
    if not bill.refers_to("AWS::ECS::Service", definition):
        _add_tasks(bill, definition, bill.assumed("one_shot_task_hours"), spot=False)


def price_cluster(bill: Bill, cluster: Resource) -> None:
    settings = cast("list[Json]", cluster.properties.get("ClusterSettings", []))
    if any(it.get("Name") == "containerInsights" and it.get("Value") != "disabled" for it in settings):
        metrics = bill.assumed("container_insights_metrics")
        bill.add("Logs, metrics, alarms", "Container Insights", "cloudwatch/metric", metrics)


def price_function(bill: Bill, function: Resource) -> None:
    kind = "arm" if function.properties.get("Architectures") == ["arm64"] else "x86"
    bill.add(GROUP, "Lambda requests", "lambda/request_million", bill.assumed("lambda_requests_millions"))
    bill.add(GROUP, f"Lambda {kind} time", f"lambda/{kind}_gb_second", bill.assumed("lambda_gb_seconds"))


def price_build(bill: Bill, project: Resource) -> None:
    environment: Json = project.properties.get("Environment", {})
    kind = (environment.get("Type"), environment.get("ComputeType"))
    if kind != ("ARM_CONTAINER", "BUILD_GENERAL1_SMALL"):
        raise BadInput(f"{project.address}: wanted an ARM small build, the only one priced, got {kind}")
    bill.add(GROUP, "CodeBuild", "codebuild/minute", bill.assumed("codebuild_minutes"))


def price_repository(bill: Bill, _repository: Resource) -> None:
    bill.add("Storage", "Images", "ecr/storage_gb", bill.assumed("ecr_gb"))


def price_scanning(bill: Bill, scanning: Resource) -> None:
    """Basic scanning is free; enhanced is Amazon Inspector."""
    if scanning.properties.get("ScanType") == "ENHANCED":
        bill.add("Detection", "Image scans", "inspector/image_scan", bill.assumed("image_scans"))
