"""Evidence: the locked bucket, the key that signs, and the collector that looks at the whole deployment."""

import json
import re
from collections.abc import Iterator
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from signalbox_constructs.alarms import OwnedAlarmProps, Severity, event, metric
from signalbox_constructs.archive import AccessLogBucket, ArchiveBucket
from signalbox_constructs.collector import Collector, CollectorProps
from signalbox_constructs.containers import Image
from signalbox_constructs.network import PRIVATE, PUBLIC
from signalbox_evidence.live.permissions import permissions
from stacks.alarms import answer
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.observability import ObservabilityStack
from stacks.service import ServiceStack
from stacks.settings import Settings

PREFIX = "reports"

_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}


class EvidenceStack(cdk.Stack):
    """The last stack: its collector looks at all of them. Exposes `archive`, `signing_key` and `collector`."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        env: cdk.Environment,
        *,
        keys: KeysStack,
        network: NetworkStack,
        service: ServiceStack,
        observability: ObservabilityStack,
    ) -> None:
        super().__init__(scope, f"{settings.name}-evidence", env=env, termination_protection=True)
        self.archive = ArchiveBucket(
            self,
            "Archive",
            key=keys.evidence,
            lock=cdk.Duration.days(settings.evidence.lock_days),
            access_logs=AccessLogBucket(self, "AccessLogs"),
        )
        self.signing_key = kms.Key(
            self,
            "SigningKey",
            description="Signalbox: signs evidence; its public half verifies it",
            key_spec=kms.KeySpec.ECC_NIST_P256,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            pending_window=cdk.Duration.days(30),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        # Where there is no NAT gateway, only the public tier leads to the services that have no private endpoint (IAM).
        # In a VPC that was brought along, the private subnets have to lead there.
        is_private = settings.network.vpc is not None or settings.network.nat_gateways > 0
        bucket = self.archive
        self.collector = Collector(
            self,
            "Collector",
            CollectorProps(
                command=[
                    *("signalbox-evidence", "collect", "--output", "/tmp/evidence"),  # noqa: S108 - the task's own
                    *("--store", f"s3://{bucket.bucket_name}/{PREFIX}"),
                    *(word for stack in self._stacks() for word in ("--stacks", stack)),
                    *_exceptions(settings),
                ],
                image=Image(
                    repository_arn=settings.image_repository_arn,
                    reference=f"{settings.image_repository}@{settings.image.digest}",
                ),
                schedule=settings.evidence.schedule,
                cluster=service.cluster,
                vpc=network.network.vpc,
                subnets=PRIVATE if is_private else PUBLIC,
                public_address=not is_private,
                reads=permissions(settings.account, settings.name),
                bucket=bucket,
                prefix=PREFIX,
                key=keys.evidence,
                signing_key=cast("kms.IKey", self.signing_key),
                log_key=keys.operations,
            ),
        )
        self._keep_the_signature_apart()
        self._miss(settings, observability)
        cdk.CfnOutput(self, "Bucket", value=bucket.bucket_name, description="Where the reports are")
        cdk.CfnOutput(self, "SigningKeyArn", value=self.signing_key.key_arn)

    def _stacks(self) -> Iterator[str]:
        """Yield REGION/NAME of every stack of the app, this one with them, the primary region's first."""
        stacks = [it for it in self.node.root.node.find_all() if isinstance(it, cdk.Stack)]
        for stack in sorted(stacks, key=lambda it: it.region != self.region):
            yield f"{stack.region}/{stack.stack_name}"

    def _keep_the_signature_apart(self) -> None:
        """Whoever administers the account may delegate the use of its keys, but not of this one."""
        self.signing_key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OnlyTheCollectorSigns",
                effect=iam.Effect.DENY,
                principals=[cast("iam.IPrincipal", iam.AnyPrincipal())],
                actions=["kms:Sign"],
                resources=["*"],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": self.collector.role.role_arn}},
            )
        )

    def _miss(self, settings: Settings, observability: ObservabilityStack) -> None:
        """Have it heard when a run fails, finds something, or does not come about at all."""
        logs.MetricFilter(
            self,
            "EvidenceStored",
            log_group=cast("logs.ILogGroup", self.collector.logs),
            filter_pattern=logs.FilterPattern.literal('"stored: s3://"'),
            metric_namespace=observability.namespace,
            metric_name="EvidenceStored",
            metric_value="1",
        )
        minutes = _every(settings.evidence.schedule)
        hours = max(1, -(-minutes // 60))
        stored = metric(observability.namespace, "EvidenceStored", {}, statistic="Sum", minutes=min(hours, 24) * 60)
        meaning = "No evidence was stored in twice the time between two collections."
        observability.desk.alarm(
            self,
            "EvidenceMissed",
            OwnedAlarmProps(
                metric=stored,
                answer=answer("EvidenceMissed", meaning, Severity.PAGE),
                threshold=1,
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                periods=max(2, min(7, 2 * -(-hours // 24))),
                missing=cloudwatch.TreatMissingData.BREACHING,
            ),
        )
        said = answer(
            "EvidenceFailed", "A collection of evidence failed, or found a control that fails.", Severity.TICKET
        )
        observability.desk.incident(
            self,
            "EvidenceFailed",
            pattern=event(
                "aws.ecs",
                "ECS Task State Change",
                {
                    "lastStatus": ["STOPPED"],
                    "taskDefinitionArn": [self.collector.task_definition.task_definition_arn],
                    "containers": {"exitCode": [{"anything-but": [0]}]},
                },
            ),
            answer=said,
            told={
                "exit code": "$.detail.containers[0].exitCode",
                "why": "$.detail.stoppedReason",
                "task": "$.detail.taskArn",
            },
        )


def _exceptions(settings: Settings) -> list[str]:
    """Return the option that tells the collector of exceptions from controls; none where there are none."""
    entries = [it.model_dump(mode="json", exclude_none=True) for it in settings.exceptions if it.is_of_a_control]
    return ["--exceptions", json.dumps({"exceptions": entries})] if entries else []


def _every(schedule: str) -> int:
    """Return the minutes between two runs. A cron expression is taken for a daily one, the rarest that makes sense."""
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    return int(match[1]) * _MINUTES[match[2]] if match else _MINUTES["day"]
