"""How many tasks of a service run: by CPU, by the depth of a queue, and by the hour where an installation may sleep."""

from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from constructs import Construct

CPU_PERCENT = 60
"""Leaves room for what arrives during the minutes in which a new task starts."""

_OUT = cdk.Duration.minutes(1)
_IN = cdk.Duration.minutes(5)

Query = autoscaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty


@dataclass(frozen=True, kw_only=True)
class Hours:
    """When tasks run: from the hour `start` to the hour `stop`, on `days` such as MON-FRI, in an IANA time zone."""

    timezone: str
    days: str
    start: int
    stop: int


class TaskScaling(Construct):
    """Keeps the number of a service's tasks between `least` and `most`, by the CPU that they use.

    `follow` adds a queue, `sleep_outside` adds hours. The policies never work against each other: Application Auto
    Scaling takes the greatest number that any of them asks for, and goes down only when all of them would. Exposes
    `count`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, service: ecs.FargateService, least: int, most: int
    ) -> None:
        super().__init__(scope, construct_id)
        self._service = service
        self._least, self._most = least, most
        self.count = service.auto_scale_task_count(min_capacity=least, max_capacity=most)
        self.count.scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=CPU_PERCENT, scale_in_cooldown=_IN, scale_out_cooldown=_OUT
        )

    def follow(self, queue: cloudwatch.Metric, *, per_task: int) -> None:
        """Hold `queue`, whose dimensionless metric counts what waits, at `per_task` for each running task.

        A target instead of steps: how far to go follows from the depth, at any size of the service.
        """
        target = cast("autoscaling.ScalableTarget", self.count.node.find_child("Target"))
        # L2 gap: TargetTrackingScalingPolicy takes a single metric, not a quotient. Remove when it takes metric math.
        autoscaling.CfnScalingPolicy(
            self,
            "Queue",
            policy_name=f"{self.node.path}/Queue".replace("/", "-"),
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.scalable_target_id,
            target_tracking_scaling_policy_configuration=(
                autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                    target_value=per_task,
                    scale_in_cooldown=_IN.to_seconds(),
                    scale_out_cooldown=_OUT.to_seconds(),
                    customized_metric_specification=autoscaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
                        metrics=[
                            _read("queued", queue.namespace, queue.metric_name, {}),
                            _read(
                                "running",
                                "ECS/ContainerInsights",
                                "RunningTaskCount",
                                {
                                    "ClusterName": self._service.cluster.cluster_name,
                                    "ServiceName": self._service.service_name,
                                },
                            ),
                            Query(id="per_task", expression="queued / running", label="queued per running task"),
                        ]
                    ),
                )
            ),
        )

    def sleep_outside(self, hours: Hours) -> None:
        """Run no task outside of `hours`."""
        self._at("Open", hours, hours.start, least=self._least, most=self._most)
        self._at("Close", hours, hours.stop, least=0, most=0)

    def _at(self, name: str, hours: Hours, hour: int, *, least: int, most: int) -> None:
        self.count.scale_on_schedule(
            name,
            schedule=autoscaling.Schedule.expression(f"cron(0 {hour} ? * {hours.days} *)"),
            time_zone=cdk.TimeZone.of(hours.timezone),
            min_capacity=least,
            max_capacity=most,
        )


def _read(name: str, namespace: str, metric: str, dimensions: dict[str, str]) -> Query:
    return Query(
        id=name,
        return_data=False,
        metric_stat=autoscaling.CfnScalingPolicy.TargetTrackingMetricStatProperty(
            stat="Average",
            metric=autoscaling.CfnScalingPolicy.TargetTrackingMetricProperty(
                namespace=namespace,
                metric_name=metric,
                dimensions=[
                    autoscaling.CfnScalingPolicy.TargetTrackingMetricDimensionProperty(name=key, value=value)
                    for key, value in dimensions.items()
                ],
            ),
        ),
    )
