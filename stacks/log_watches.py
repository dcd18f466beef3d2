"""What is counted in logs, and from how many on it is an alarm. The service's lines are JSON with an `event`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from signalbox_constructs.alarms import OwnedAlarmProps, Severity, expression, metric
from stacks.alarms import Watch, answer

_PAGE, _TICKET = Severity.PAGE, Severity.TICKET


@dataclass(frozen=True, kw_only=True)
class Count:
    """Lines that match `pattern` are counted as the metric `name`; `least` of them in `minutes` are an alarm."""

    name: str
    pattern: str
    meaning: str
    severity: Severity
    least: int
    minutes: int = 5
    essential: bool = False


def _event(*names: str) -> str:
    return "{ " + " || ".join(f'$.event = "{name}"' for name in names) + " }"


def _refused(*codes: str) -> str:
    said = " || ".join(f'$.code = "{code}"' for code in codes)
    return f'{{ $.event = "rpc" && ({said}) }}'


OF_SERVICE = (
    Count(
        name="Bugs",
        pattern=_event("bug", "page_failed"),
        meaning="The service met an error that it does not know: a bug.",
        severity=_TICKET,
        least=1,
        essential=True,
    ),
    Count(
        name="PassesFailed",
        pattern=_event("pass_failed", "timer_failed"),
        meaning="Passes of the reconciler fail, ten or more in 15 minutes.",
        severity=_PAGE,
        least=10,
        minutes=15,
    ),
    Count(
        name="AuthFailures",
        pattern=_refused("unauthenticated", "permission_denied"),
        meaning="100 requests or more in five minutes were refused for who sent them.",
        severity=_TICKET,
        least=100,
        essential=True,
    ),
    Count(
        name="Unavailable",
        pattern=_refused("unavailable"),
        meaning="50 requests or more in five minutes were told to come again: the database is slow or away.",
        severity=_PAGE,
        least=50,
    ),
    Count(
        name="InvalidReports",
        pattern=_event("report_invalid"),
        meaning="A cluster sends reports that mean nothing, 20 or more in 15 minutes.",
        severity=_TICKET,
        least=20,
        minutes=15,
    ),
)

OF_TRAIL = (
    Count(
        name="AccessDenied",
        pattern='{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }',
        meaning="AWS refused 20 calls or more in five minutes: somebody tries what their role may not do.",
        severity=_TICKET,
        least=20,
    ),
    Count(
        name="SignInFailures",
        pattern='{ ($.eventName = "ConsoleLogin") && ($.errorMessage = "Failed authentication") }',
        meaning="Five sign-ins or more to the console failed in five minutes.",
        severity=_TICKET,
        least=5,
    ),
)


def count(
    scope: Construct, groups: Sequence[tuple[str, logs.ILogGroup]], counts: Sequence[Count], namespace: str
) -> Iterator[Watch]:
    """Count the lines in each of `groups` (with a construct id for each), and yield what is watched about them."""
    for it in counts:
        for where, group in groups:
            logs.MetricFilter(
                scope,
                f"{it.name}In{where}",
                log_group=group,
                filter_pattern=logs.FilterPattern.literal(it.pattern),
                metric_namespace=namespace,
                metric_name=it.name,
                metric_value="1",
            )
        props = OwnedAlarmProps(
            metric=metric(namespace, it.name, {}, statistic="Sum", minutes=it.minutes),
            answer=answer(it.name, it.meaning, it.severity),
            threshold=it.least,
        )
        yield Watch(name=it.name, props=props, essential=it.essential)


def count_codes(scope: Construct, group: logs.ILogGroup, namespace: str) -> cloudwatch.IMetric:
    """Count refused RPCs by code, and return the search that shows them side by side."""
    logs.MetricFilter(
        scope,
        "RpcErrors",
        log_group=group,
        filter_pattern=logs.FilterPattern.literal('{ $.event = "rpc" && $.code = * }'),
        metric_namespace=namespace,
        metric_name="RpcErrors",
        metric_value="1",
        dimensions={"Code": "$.code"},
    )
    search = f"SEARCH('{{{namespace},Code}} MetricName=\"RpcErrors\"', 'Sum', 300)"
    return expression(search, {}, label="")
