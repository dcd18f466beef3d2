"""Which alarms there are, and from which value on. Each has its page in docs/runbooks/alarms.md, under its own name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

from signalbox_constructs.alarms import Answer, OwnedAlarmProps, Severity, expression, metric
from stacks.settings import Settings

POOL = 12
"""Connections of one process to the database, at most: SIGNALBOX_DATABASE_POOL."""

_MIB = 1024 * 1024
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_MISSING_IS_BAD = cloudwatch.TreatMissingData.BREACHING
_PAGE, _TICKET = Severity.PAGE, Severity.TICKET


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One alarm. Only the essential ones are made where `observability.alarms` says so."""

    name: str
    props: OwnedAlarmProps
    essential: bool = False


@dataclass(frozen=True, kw_only=True)
class Places:
    """The names by which CloudWatch knows what is watched."""

    load_balancer: str
    target_group: str
    certificate_arn: str
    ecs_cluster: str
    services: Mapping[str, str]
    """Serve and Reconcile by the names of their services."""
    database: str


def answer(name: str, meaning: str, severity: Severity) -> Answer:
    """Return what is said with the alarm or incident `name`; its page is found by its name in kebab case."""
    anchor = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    return Answer(meaning=meaning, severity=severity, runbook=f"alarms.md#{anchor}")


def watches(settings: Settings, places: Places) -> Iterator[Watch]:
    """Yield what is watched by CloudWatch's own metrics and by those of the service."""
    yield from _edge(settings, places)
    for process, service in places.services.items():
        yield from _tasks(process, service, places.ecs_cluster)
    yield from _database(settings, places.database)
    yield from _queue(settings)


def _watch(
    name: str,
    meaning: str,
    severity: Severity,
    series: cloudwatch.IMetric,
    threshold: float,
    *,
    periods: int = 3,
    comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    essential: bool = False,
) -> Watch:
    props = OwnedAlarmProps(
        metric=series,
        answer=answer(name, meaning, severity),
        threshold=threshold,
        comparison=comparison,
        periods=periods,
        missing=missing,
    )
    return Watch(name=name, props=props, essential=essential)


def _edge(settings: Settings, places: Places) -> Iterator[Watch]:
    balancer = {"LoadBalancer": places.load_balancer}
    group = {**balancer, "TargetGroup": places.target_group}

    def series(name: str, dimensions: Mapping[str, str], statistic: str, minutes: int = 5) -> cloudwatch.IMetric:
        return metric("AWS/ApplicationELB", name, dimensions, statistic=statistic, minutes=minutes)

    for name, counter, meaning in (
        ("EdgeErrors", "HTTPCode_ELB_5XX_Count", "The load balancer itself answers 5 % or more of requests with 5xx."),
        ("TargetErrors", "HTTPCode_Target_5XX_Count", "The gateway answers 5 % or more of requests with 5xx."),
    ):
        parts = {"errors": series(counter, balancer, "Sum"), "requests": series("RequestCount", balancer, "Sum")}
        # a few requests at night are no rate
        rate = expression("IF(requests > 50, 100 * FILL(errors, 0) / requests, 0)", parts, label=f"{name} %")
        yield _watch(name, meaning, _PAGE, rate, 5, essential=name == "EdgeErrors")
    slow = series("TargetResponseTime", group, "p99")
    yield _watch("SlowAnswers", "One request in a hundred waits 2 s or more for its answer to begin.", _TICKET, slow, 2)
    unhealthy = series("UnHealthyHostCount", group, "Maximum")
    yield _watch("UnhealthyHosts", "A gateway task fails its health check for 15 minutes.", _TICKET, unhealthy, 1)
    if settings.service.working_hours is None:
        yield _watch(
            "NoHealthyHost",
            "No gateway task is healthy: nobody is served.",
            _PAGE,
            series("HealthyHostCount", group, "Minimum", minutes=1),
            1,
            comparison=_BELOW,
            missing=_MISSING_IS_BAD,
            essential=True,
        )
    days = metric(
        "AWS/CertificateManager",
        "DaysToExpiry",
        {"CertificateArn": places.certificate_arn},
        statistic="Minimum",
        minutes=24 * 60,
    )
    meaning = "The certificate of the public name ends within 21 days and was not renewed."
    yield _watch("CertificateExpiry", meaning, _PAGE, days, 21, periods=1, comparison=_BELOW, essential=True)
    if settings.edge.firewall:
        dimensions = {"WebACL": settings.name, "Rule": "ALL", "Region": settings.region}
        blocked = metric("AWS/WAFV2", "BlockedRequests", dimensions, statistic="Sum")
        meaning = "The firewall blocks 5000 requests or more in five minutes."
        yield _watch("FirewallBlocks", meaning, _TICKET, blocked, 5000, periods=1)


def _tasks(process: str, service: str, cluster: str) -> Iterator[Watch]:
    place = {"ClusterName": cluster, "ServiceName": service}
    counts = {
        word: metric("ECS/ContainerInsights", f"{word.capitalize()}TaskCount", place, statistic="Minimum")
        for word in ("desired", "running")
    }
    lacking = expression("desired - running", counts, label=f"{process} tasks missing")
    meaning = f"{process} has run fewer tasks than wanted for 15 minutes."
    yield _watch(f"{process}Tasks", meaning, _PAGE, lacking, 1, essential=process == "Serve")
    for name in ("CPU", "Memory"):
        used = metric("AWS/ECS", f"{name}Utilization", place, statistic="Average")
        meaning = f"{process} has used 85 % or more of its {name if name == 'CPU' else 'memory'} for half an hour."
        yield _watch(f"{process}{name.capitalize()}", meaning, _TICKET, used, 85, periods=6)


def _database(settings: Settings, cluster: str) -> Iterator[Watch]:
    writer = {"DBClusterIdentifier": cluster, "Role": "WRITER"}

    def series(name: str, statistic: str = "Average", dimensions: Mapping[str, str] = writer) -> cloudwatch.IMetric:
        return metric("AWS/RDS", name, dimensions, statistic=statistic)

    meaning = "The database has used 85 % or more of its CPU for a quarter of an hour."
    yield _watch("DatabaseCpu", meaning, _TICKET, series("CPUUtilization"), 85, essential=True)
    if settings.database.capacity == "serverless":
        meaning = "The database has stood at 90 % or more of its largest capacity for half an hour."
        yield _watch("DatabaseCapacity", meaning, _TICKET, series("ACUUtilization"), 90, periods=6)
    meaning = "The database has less than 256 MiB of memory left."
    free = series("FreeableMemory", "Minimum")
    yield _watch("DatabaseMemory", meaning, _PAGE, free, 256 * _MIB, comparison=_BELOW)
    meaning = "The database has less than 1 GiB of local storage left, where sorts and temporary tables go."
    local = series("FreeLocalStorage", "Minimum")
    yield _watch("DatabaseStorage", meaning, _TICKET, local, 1024 * _MIB, comparison=_BELOW)
    most = POOL * (settings.service.serve.most + settings.service.reconcile.most) + POOL
    meaning = f"The database has {most} connections or more: more than all processes together may open."
    yield _watch("DatabaseConnections", meaning, _TICKET, series("DatabaseConnections", "Maximum"), most)
    meaning = "Transactions of the database lock each other out, six times a minute or more."
    yield _watch("DatabaseDeadlocks", meaning, _TICKET, series("Deadlocks"), 0.1)
    if settings.database.readers:
        lag = series("AuroraReplicaLagMaximum", "Maximum", {"DBClusterIdentifier": cluster})
        yield _watch("ReplicaLag", "A reader is a second or more behind the writer.", _TICKET, lag, 1000)
    meaning = "Half of the transaction ids are used up: vacuum does not keep pace."
    yield _watch("TransactionIds", meaning, _PAGE, series("MaximumUsedTransactionIDs", "Maximum"), 1e9, periods=1)


def _queue(settings: Settings) -> Iterator[Watch]:
    def series(name: str, statistic: str) -> cloudwatch.IMetric:
        return metric(f"Signalbox/{settings.name}", name, {}, statistic=statistic)

    if settings.service.working_hours is None:
        yield _watch(
            "NoHeartbeat",
            "No reconciler has told of the queue for 15 minutes: nothing is retried, timed out or cleaned up.",
            _PAGE,
            series("QueuedActions", "SampleCount"),
            1,
            comparison=_BELOW,
            missing=_MISSING_IS_BAD,
            essential=True,
        )
    oldest = series("OldestQueuedSeconds", "Maximum")
    yield _watch("OldestQueued", "An action has waited for 30 minutes or more.", _TICKET, oldest, 1800)
    depth = series("QueuedActions", "Maximum")
    yield _watch("QueueDepth", "100 000 actions or more wait.", _TICKET, depth, 100_000)
