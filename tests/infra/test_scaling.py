"""Scaling: by CPU and by what waits, between the two numbers of the settings, and asleep where that is chosen."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from support.templates import Deployment

Deployments = Callable[[str], Deployment]

POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def _target(deployment: Deployment, process: str) -> dict[str, Any]:
    return deployment.one("AWS::ApplicationAutoScaling::ScalableTarget", f"/{process}/").properties


def _queue(deployment: Deployment) -> dict[str, Any]:
    policy = deployment.one(POLICY, "/Queue").properties
    return policy["TargetTrackingScalingPolicyConfiguration"]


@pytest.mark.parametrize(
    ("name", "serve", "reconcile"),
    [
        ("dev", (1, 1), (1, 1)),
        ("standard", (2, 8), (2, 4)),
        ("lean", (2, 8), (2, 4)),
        ("ha-dr", (3, 20), (3, 6)),
        ("byo", (2, 8), (2, 4)),
    ],
)
def test_the_number_of_tasks_stays_between_the_two_of_the_settings(
    deployments: Deployments, name: str, serve: tuple[int, int], reconcile: tuple[int, int]
) -> None:
    for process, span in (("Serve", serve), ("Reconcile", reconcile)):
        target = _target(deployments(name), process)

        assert (target["MinCapacity"], target["MaxCapacity"]) == span
        assert target["ScalableDimension"] == "ecs:service:DesiredCount"


@pytest.mark.parametrize("process", ["Serve", "Reconcile"])
def test_both_processes_follow_the_cpu(deployments: Deployments, process: str) -> None:
    policy = deployments("standard").one(POLICY, f"/{process}/Service/").properties
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]

    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "ECSServiceAverageCPUUtilization"
    assert 40 <= tracking["TargetValue"] <= 75
    assert tracking["ScaleInCooldown"] > tracking["ScaleOutCooldown"]


def test_the_gateway_alone_follows_what_waits_for_each_running_task(deployments: Deployments) -> None:
    standard = deployments("standard")
    policy = standard.one(POLICY, "/Queue")
    queries = {it["Id"]: it for it in _queue(standard)["CustomizedMetricSpecification"]["Metrics"]}
    running = queries["running"]["MetricStat"]["Metric"]
    dimensions = {it["Name"]: standard.refers(policy, it["Value"]) for it in running["Dimensions"]}

    assert standard.refers(policy, policy.properties["ScalingTargetId"]) == standard.one(
        "AWS::ApplicationAutoScaling::ScalableTarget", "/Serve/"
    )
    assert queries["per_task"]["Expression"] == "queued / running"
    assert [name for name, it in queries.items() if it.get("ReturnData", True)] == ["per_task"]
    assert (running["Namespace"], running["MetricName"]) == ("ECS/ContainerInsights", "RunningTaskCount")
    assert dimensions == {
        "ClusterName": standard.one("AWS::ECS::Cluster"),
        "ServiceName": standard.one("AWS::ECS::Service", "/Serve/"),
    }


def test_what_waits_is_read_from_the_line_that_the_reconciler_logs(deployments: Deployments) -> None:
    standard = deployments("standard")
    line = standard.one("AWS::Logs::MetricFilter", "signalbox-service/")
    (metric,) = line.properties["MetricTransformations"]
    queries = {it["Id"]: it for it in _queue(standard)["CustomizedMetricSpecification"]["Metrics"]}
    queued = queries["queued"]["MetricStat"]["Metric"]

    reconcile = standard.one("AWS::Logs::LogGroup", "/Reconcile/")
    assert standard.refers(line, line.properties["LogGroupName"]) == reconcile
    assert line.properties["FilterPattern"] == '{ $.event = "queue" }'
    assert metric["MetricValue"] == "$.queued"
    assert "Dimensions" not in metric
    assert metric["MetricNamespace"] == "Signalbox/signalbox"
    assert (queued["Namespace"], queued["MetricName"]) == (metric["MetricNamespace"], metric["MetricName"])


def test_an_installation_that_may_sleep_runs_no_task_outside_of_its_hours(deployments: Deployments) -> None:
    for process in ("Serve", "Reconcile"):
        actions = {
            re.sub(r".*(Open|Close)$", r"\1", it["ScheduledActionName"]): it
            for it in _target(deployments("dev"), process)["ScheduledActions"]
        }

        assert actions["Open"]["Schedule"] == "cron(0 7 ? * MON-FRI *)"
        assert actions["Close"]["Schedule"] == "cron(0 17 ? * MON-FRI *)"
        assert actions["Open"]["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 1}
        assert actions["Close"]["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}
        assert {it["Timezone"] for it in actions.values()} == {"UTC"}


@pytest.mark.parametrize("name", ["standard", "lean", "ha-dr", "byo"])
def test_nothing_else_ever_sleeps(deployments: Deployments, name: str) -> None:
    targets = deployments(name).all("AWS::ApplicationAutoScaling::ScalableTarget")

    assert "ScheduledActions" not in json.dumps([it.properties for it in targets])
