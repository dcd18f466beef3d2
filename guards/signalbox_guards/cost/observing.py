"""Logs, metrics, alarms, dashboards, canaries."""

import re
from typing import Any, cast  # property values are free JSON

from signalbox_guards.canonical import Json
from signalbox_guards.cost.bill import Bill, Resource
from signalbox_guards.errors import BadInput

GROUP = "Logs, metrics, alarms"
_DAYS_A_MONTH = 365 / 12
_KEPT_FOR_EVER_MONTHS = 24  # a group without retention is priced as if it were two years old
_FREE_DASHBOARDS = 3
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}


def _volume(bill: Bill, group: Resource) -> float:
    """GB that one log group takes in, by what writes to it."""
    if bill.refers_to("AWS::EC2::FlowLog", group):
        return bill.assumed("flow_log_gb")
    if bill.refers_to("AWS::CloudTrail::Trail", group):
        return bill.assumed("trail_log_gb")
    if bill.refers_to("AWS::WAFv2::LoggingConfiguration", group):
        return bill.assumed("waf_log_gb")
    return bill.assumed("log_gb_per_group")


def price_log_group(bill: Bill, group: Resource) -> None:
    """Taking in, and keeping for the retention: the state of a group that has been running that long."""
    volume = _volume(bill, group)
    infrequent = group.properties.get("LogGroupClass") == "INFREQUENT_ACCESS"
    words, price = ("Logs, infrequent access", "log_gb_infrequent") if infrequent else ("Logs", "log_gb")
    bill.add(GROUP, words, f"cloudwatch/{price}", volume)
    days = group.properties.get("RetentionInDays")
    months = group.number(days, "RetentionInDays") / _DAYS_A_MONTH if days else _KEPT_FOR_EVER_MONTHS
    stored = volume * months * bill.compressed("cloudwatch", "log_stored_gb")
    bill.add(GROUP, "Logs kept", "cloudwatch/log_stored_gb", stored)


def price_metric_filter(bill: Bill, found: Resource) -> None:
    """Each transformation makes a custom metric; with dimensions it makes more, which is not foreseen here."""
    made = cast("list[Any]", found.properties.get("MetricTransformations", []))
    bill.add(GROUP, "Custom metrics", "cloudwatch/metric", len(made))


def price_alarm(bill: Bill, alarm: Resource) -> None:
    queries = cast("list[Json]", alarm.properties.get("Metrics", []))
    metrics = sum("MetricStat" in query for query in queries) or 1
    period = alarm.number(alarm.properties.get("Period", 60), "Period")
    price = "alarm_high_resolution" if period < 60 else "alarm"  # noqa: PLR2004 - seconds
    factor = 3 if alarm.properties.get("ThresholdMetricId") else 1  # an anomaly band is two metrics more
    bill.add(GROUP, "Alarms" if period >= 60 else "Fast alarms", f"cloudwatch/{price}", metrics * factor)  # noqa: PLR2004


def price_composite_alarm(bill: Bill, _alarm: Resource) -> None:
    bill.add(GROUP, "Composite alarms", "cloudwatch/alarm_composite", 1)


def price_dashboard(bill: Bill, dashboard: Resource) -> None:
    """The first three of an account are free."""
    order = [it.address for it in bill.of_type(dashboard.type)]
    if order.index(dashboard.address) >= _FREE_DASHBOARDS:
        bill.add(GROUP, "Dashboards", "cloudwatch/dashboard", 1)


def price_canary(bill: Bill, canary: Resource) -> None:
    """Runs; each is a call of a function, too."""
    if canary.properties.get("StartCanaryAfterCreation") in (False, "false"):
        return
    expression = str(canary.properties.get("Schedule", {}).get("Expression"))
    match = _RATE.fullmatch(expression)
    if match and match.group(1) == "0":
        raise BadInput(f"{canary.address}: Schedule.Expression: wanted a rate that repeats, got {expression!r}")
    minutes = int(match.group(1)) * _MINUTES[match.group(2)] if match else 0
    runs = bill.assumed("hours") * 60 / minutes if minutes else bill.assumed("canary_runs")
    bill.add(GROUP, "Canary runs", "cloudwatch/canary_run", runs)
    bill.add("Compute", "Lambda x86 time", "lambda/x86_gb_second", runs * 10)  # ten seconds at 1 GB
