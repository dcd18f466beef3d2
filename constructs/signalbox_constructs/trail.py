"""The record of who did what in the account: a trail of every region that cannot be altered unnoticed."""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.archive import ArchiveBucket
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept_of_frameworks

_SERVICE = "cloudtrail.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class TrailProps:
    name: str
    key: kms.IKey
    """Encrypts the records; its policy has to admit CloudTrail (`encryption.grant_to_trails`)."""
    log_key: kms.IKey
    """Encrypts the log group, in which the last year is searched and watched."""
    lock_days: int
    access_logs: s3.IBucket
    bucket_prefixes: Sequence[str]
    """Reads and writes of objects are recorded in buckets whose names begin so."""


class Trail(Construct):
    """A CloudTrail trail of all regions with validated digests, in a locked bucket and in a log group.

    Exposes `trail`, `logs` (the log group) and `archive`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: TrailProps) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self._arn = f"arn:aws:cloudtrail:{stack.region}:{stack.account}:trail/{props.name}"
        self.archive = ArchiveBucket(
            self, "Archive", key=props.key, lock=cdk.Duration.days(props.lock_days), access_logs=props.access_logs
        )
        self.logs = encrypted_log_group(self, "Logs", key=props.log_key)
        self._admit()
        writer = self._writer()
        self.trail = cloudtrail.CfnTrail(
            self,
            "Trail",
            trail_name=props.name,
            is_logging=True,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            s3_bucket_name=self.archive.bucket_name,
            kms_key_id=props.key.key_arn,
            cloud_watch_logs_log_group_arn=self.logs.log_group_arn,
            cloud_watch_logs_role_arn=writer.role_arn,
            advanced_event_selectors=[
                _selector("Management", {"eventCategory": _equals("Management")}),
                _selector(
                    "Objects",
                    {
                        "eventCategory": _equals("Data"),
                        "resources.type": _equals("AWS::S3::Object"),
                        "resources.ARN": {"starts_with": [f"arn:aws:s3:::{it}" for it in props.bucket_prefixes]},
                    },
                ),
            ],
        )
        self.trail.node.add_dependency(writer)
        if self.archive.policy:  # CloudTrail tries a write when the trail is made
            self.trail.node.add_dependency(self.archive.policy)

    def _admit(self) -> None:
        stack = cdk.Stack.of(self)
        bucket, of_trail = self.archive, {"StringEquals": {"aws:SourceArn": self._arn}}
        service = principals.service(_SERVICE)
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TrailLooks",
                principals=[service],
                actions=["s3:GetBucketAcl"],
                resources=[bucket.bucket_arn],
                conditions=of_trail,
            )
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TrailWrites",
                principals=[service],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"AWSLogs/{stack.account}/*")],
                conditions={"StringEquals": {"aws:SourceArn": self._arn, "s3:x-amz-acl": "bucket-owner-full-control"}},
            )
        )

    def _writer(self) -> iam.IRole:
        writer = principals.service_role(self, "Writer", assumed_by=_SERVICE, source="cloudtrail")
        self.logs.grant_write(writer)
        accept_of_frameworks(
            self,
            "IAMNoInlinePolicy",
            reason="The one policy names the one log group; it comes and goes with the role, which nobody else takes.",
        )
        return writer


def _equals(value: str) -> dict[str, list[str]]:
    return {"equal_to": [value]}


def _selector(name: str, fields: dict[str, dict[str, list[str]]]) -> cloudtrail.CfnTrail.AdvancedEventSelectorProperty:
    return cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
        name=name,
        field_selectors=[
            cloudtrail.CfnTrail.AdvancedFieldSelectorProperty(
                field=field, equal_to=test.get("equal_to"), starts_with=test.get("starts_with")
            )
            for field, test in fields.items()
        ],
    )
