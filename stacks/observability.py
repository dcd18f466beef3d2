"""Observability: who is told of what, and what records it. It keeps the trail; everything else may be made anew."""

from collections.abc import Iterable
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from signalbox_constructs.alarms import AlarmDesk, AlarmDeskProps, OwnedAlarmProps, Severity, metric
from signalbox_constructs.archive import AccessLogBucket
from signalbox_constructs.canary import Canary, CanaryProps
from signalbox_constructs.detection import (
    ConfigurationRecorder,
    ConfigurationRecorderProps,
    FindingsHub,
    ThreatDetector,
)
from signalbox_constructs.trail import Trail, TrailProps
from stacks.alarms import Places, Watch, answer, watches
from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.incidents import incidents
from stacks.keys import KeysStack
from stacks.log_watches import OF_SERVICE, OF_TRAIL, Count, count, count_codes
from stacks.service import ServiceStack
from stacks.settings import Settings


class ObservabilityStack(cdk.Stack):
    """Exposes `desk`, on which later stacks have their alarms heard, `namespace` of our metrics, and `alarms`."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        env: cdk.Environment,
        *,
        keys: KeysStack,
        data: DataStack,
        edge: EdgeStack,
        service: ServiceStack,
    ) -> None:
        super().__init__(scope, f"{settings.name}-observability", env=env, termination_protection=True)
        self._settings, self._keys = settings, keys
        self.namespace = f"Signalbox/{settings.name}"
        self.alarms: dict[str, cloudwatch.Alarm] = {}
        told = settings.observability
        self.desk = AlarmDesk(
            self,
            "Desk",
            AlarmDeskProps(key=keys.operations, owner=told.owner, runbooks=told.runbooks, email=told.alarm_email),
        )
        cdk.CfnOutput(self, "AlarmTopic", value=self.desk.topic.topic_arn, description="What to subscribe to")

        places = Places(
            load_balancer=edge.edge.load_balancer.load_balancer_full_name,
            target_group=edge.edge.target_group.target_group_full_name,
            certificate_arn=edge.edge.certificate.certificate_arn,
            ecs_cluster=service.cluster.cluster_name,
            services={
                "Serve": service.serve.service.service_name,
                "Reconcile": service.reconcile.service.service_name,
            },
            database=data.database.cluster.cluster_identifier,
        )
        self._watch(watches(settings, places))
        processes = [("Serve", service.serve.logs), ("Reconcile", service.reconcile.logs)]
        groups = [(name, cast("logs.ILogGroup", group)) for name, group in processes]
        self._watch(count(self, groups, self._wanted(OF_SERVICE), self.namespace))
        for it in incidents(settings.name):
            said = answer(it.name, it.meaning, it.severity)
            self.desk.incident(self, it.name, pattern=it.pattern, answer=said, told=it.told)
        self._record()
        if told.canary_minutes:
            self._probe(told.canary_minutes)
        if told.dashboard:
            self._draw(count_codes(self, groups[0][1], self.namespace))

    def _watch(self, found: Iterable[Watch]) -> None:
        for it in found:
            if self._wants(essential=it.essential):
                self.alarms[it.name] = self.desk.alarm(self, it.name, it.props)

    def _wants(self, *, essential: bool) -> bool:
        return essential or self._settings.observability.alarms == "all"

    def _wanted(self, counts: Iterable[Count]) -> list[Count]:
        return [it for it in counts if self._wants(essential=it.essential)]

    def _record(self) -> None:
        """Turn on what the settings do not leave to the organisation."""
        settings, wanted, key = self._settings, self._settings.observability, self._keys.evidence
        access_logs = AccessLogBucket(self, "AccessLogs") if wanted.trail or wanted.config else None
        if wanted.trail and access_logs:
            trail = Trail(
                self,
                "Trail",
                TrailProps(
                    name=settings.name,
                    key=key,
                    log_key=self._keys.operations,
                    lock_days=settings.evidence.lock_days,
                    access_logs=access_logs,
                    # CloudFormation begins the names of buckets with that of the stack
                    bucket_prefixes=[f"{settings.name}-evidence", f"{settings.name}-data"],
                ),
            )
            group = cast("logs.ILogGroup", trail.logs)
            self._watch(count(self, [("Trail", group)], self._wanted(OF_TRAIL), self.namespace))
        if wanted.guardduty:
            ThreatDetector(self, "Threats")
        if wanted.config and access_logs:
            ConfigurationRecorder(
                self, "Configuration", ConfigurationRecorderProps(name=settings.name, key=key, access_logs=access_logs)
            )
        if wanted.security_hub:
            FindingsHub(self, "Findings")

    def _probe(self, minutes: int) -> None:
        settings = self._settings
        canary = Canary(
            self,
            "Canary",
            CanaryProps(
                name=settings.name,
                domain_name=settings.edge.domain_name,
                minutes=minutes,
                key=self._keys.operations,
            ),
        )
        success = metric(
            "CloudWatchSynthetics",
            "SuccessPercent",
            {"CanaryName": str(canary.canary.ref)},
            statistic="Average",
            minutes=minutes,
        )
        meaning = "From outside, the control plane does not answer over sound TLS."
        props = OwnedAlarmProps(
            metric=success,
            answer=answer("CanaryFails", meaning, Severity.PAGE),
            threshold=90,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            periods=3,
            breaching=2,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._watch([Watch(name="CanaryFails", props=props)])

    def _draw(self, codes: cloudwatch.IMetric) -> None:
        """Draw what is watched, an alarm's threshold in each picture, and refused RPCs by code."""
        board = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"{self._settings.name}-{self._settings.region}",
            default_interval=cdk.Duration.hours(24),
        )
        alarms = [cast("cloudwatch.IAlarm", alarm) for alarm in self.alarms.values()]
        pictures = [
            cloudwatch.AlarmWidget(alarm=alarm, title=name, width=6)
            for name, alarm in zip(self.alarms, alarms, strict=True)
        ]
        refused = cloudwatch.GraphWidget(left=[codes], title="Refused RPCs by code", width=24)
        state = cloudwatch.AlarmStatusWidget(alarms=alarms, title="Alarms", width=24)
        board.add_widgets(*(cast("cloudwatch.IWidget", it) for it in (state, *pictures, refused)))
