"""Alarms that somebody answers for: each names its owner, how urgent it is, and the page that says what to do.

An `AlarmDesk` is where they are made and where they are heard: one topic, one owner, one place of runbooks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from signalbox_constructs import principals

_SOURCES = ("cloudwatch.amazonaws.com", "events.amazonaws.com")
"""The services that publish to the topic; each needs the key as well."""


class Severity(StrEnum):
    PAGE = "page"
    """Somebody is woken."""
    TICKET = "ticket"
    """It waits for the next working day."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What whoever hears an alarm needs. `runbook` is FILE.md#ANCHOR below the desk's runbooks."""

    meaning: str
    severity: Severity
    runbook: str


@dataclass(frozen=True, kw_only=True)
class OwnedAlarmProps:
    metric: cloudwatch.IMetric
    answer: Answer
    threshold: float
    comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    periods: int = 1
    """Periods of the metric that are looked at."""
    breaching: int | None = None
    """How many of them have to breach; None for all."""
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING


@dataclass(frozen=True, kw_only=True)
class AlarmDeskProps:
    key: kms.IKey
    """Encrypts the topic; its policy has to admit CloudWatch and EventBridge (`encryption.grant_to_topics`)."""
    owner: str
    runbooks: str
    """The HTTPS URL below which runbooks are read, without a slash at its end."""
    email: str | None = None


class AlarmDesk(Construct):
    """The encrypted topic on which alarms and incidents are heard.

    Exposes `topic`. `alarm` makes an alarm on a metric, `incident` a rule on an event; neither can be made without
    owner, severity and runbook, nor without the topic.
    """

    def __init__(self, scope: Construct, construct_id: str, props: AlarmDeskProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.topic = sns.Topic(self, "Topic", master_key=props.key, enforce_ssl=True)
        self._admit_sources()
        if props.email:
            sns.CfnSubscription(self, "Email", topic_arn=self.topic.topic_arn, protocol="email", endpoint=props.email)

    def alarm(self, scope: Construct, construct_id: str, props: OwnedAlarmProps) -> cloudwatch.Alarm:
        """Return an alarm that is heard when it breaks and when it is over."""
        alarm = cloudwatch.Alarm(
            scope,
            construct_id,
            metric=props.metric,
            threshold=props.threshold,
            comparison_operator=props.comparison,
            evaluation_periods=props.periods,
            datapoints_to_alarm=props.breaching or props.periods,
            treat_missing_data=props.missing,
            alarm_description=self._words(props.answer),
        )
        heard = cast("cloudwatch.IAlarmAction", actions.SnsAction(cast("sns.ITopic", self.topic)))
        alarm.add_alarm_action(heard)
        alarm.add_ok_action(heard)
        return alarm

    def incident(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pattern: Mapping[str, object],
        answer: Answer,
        told: Mapping[str, str],
    ) -> events.CfnRule:
        """Return a rule that tells of each event of `pattern`; `told` maps words to paths such as `$.detail.state`.

        L2 gap: the target for topics lets EventBridge of every account publish. Use it when it can be narrowed.
        """
        facts = ", ".join(f"{word} <fact{number}>" for number, word in enumerate(told))
        heard = events.CfnRule.TargetProperty(
            id="Desk",
            arn=self.topic.topic_arn,
            input_transformer=events.CfnRule.InputTransformerProperty(
                input_paths_map={f"fact{number}": path for number, path in enumerate(told.values())},
                input_template=json.dumps(f"{self._words(answer)} Event: {facts}"),
            ),
        )
        return events.CfnRule(
            scope,
            construct_id,
            description=answer.meaning,
            event_pattern=dict(pattern),
            state="ENABLED",
            targets=[heard],
        )

    def _words(self, answer: Answer) -> str:
        where = f"{self._props.runbooks}/{answer.runbook}"
        return f"{answer.meaning} Owner: {self._props.owner}. Severity: {answer.severity}. Runbook: {where}"

    def _admit_sources(self) -> None:
        for name in _SOURCES:
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"{name.split('.')[0].capitalize()}OfThisAccount",
                    principals=[principals.service(name)],
                    actions=["sns:Publish"],
                    resources=[self.topic.topic_arn],
                    conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
                )
            )


def metric(
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    *,
    statistic: str,
    minutes: int = 5,
) -> cloudwatch.IMetric:
    """Return one time series of CloudWatch."""
    found = cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dict(dimensions),
        statistic=statistic,
        period=cdk.Duration.minutes(minutes),
    )
    return cast("cloudwatch.IMetric", found)


def expression(
    text: str, using: Mapping[str, cloudwatch.IMetric], *, label: str, minutes: int = 5
) -> cloudwatch.IMetric:
    """Return a metric that is computed from others."""
    found = cloudwatch.MathExpression(
        expression=text, using_metrics=dict(using), label=label, period=cdk.Duration.minutes(minutes)
    )
    return cast("cloudwatch.IMetric", found)


def event(source: str, detail_type: str | Sequence[str], detail: Mapping[str, object]) -> Mapping[str, object]:
    """Return the pattern of an event of this account."""
    kinds = [detail_type] if isinstance(detail_type, str) else list(detail_type)
    return {"source": [source], "detail-type": kinds, "detail": dict(detail)}
