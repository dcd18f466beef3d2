"""Detection by AWS's own services. An account has one of each in a region: leave out what the organisation runs."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_config as config
from aws_cdk import aws_guardduty as guardduty
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_securityhub as securityhub
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.archive import ArchiveBucket

_SERVICE = "config.amazonaws.com"

RULES = {
    "ClustersEncrypted": "RDS_CLUSTER_ENCRYPTED_AT_REST",
    "ClustersProtected": "RDS_CLUSTER_DELETION_PROTECTION_ENABLED",
    "KeysRotate": "CMK_BACKING_KEY_ROTATION_ENABLED",
    "KeysNotDeleted": "KMS_CMK_NOT_SCHEDULED_FOR_DELETION",
    "BucketsNotRead": "S3_BUCKET_PUBLIC_READ_PROHIBITED",
    "BucketsNotWritten": "S3_BUCKET_PUBLIC_WRITE_PROHIBITED",
    "FlowLogs": "VPC_FLOW_LOGS_ENABLED",
    "TrailValidated": "CLOUD_TRAIL_LOG_FILE_VALIDATION_ENABLED",
}
"""Managed rules by their identifiers in AWS Config's list."""


class ThreatDetector(Construct):
    """GuardDuty with logins to the database, access to S3, and the behaviour of Fargate tasks. Exposes `detector`."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        feature = guardduty.CfnDetector.CFNFeatureConfigurationProperty
        self.detector = guardduty.CfnDetector(
            self,
            "Detector",
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            features=[
                feature(name="S3_DATA_EVENTS", status="ENABLED"),
                feature(name="RDS_LOGIN_EVENTS", status="ENABLED"),
                feature(
                    name="RUNTIME_MONITORING",
                    status="ENABLED",
                    additional_configuration=[
                        guardduty.CfnDetector.CFNFeatureAdditionalConfigurationProperty(
                            name="ECS_FARGATE_AGENT_MANAGEMENT", status="ENABLED"
                        )
                    ],
                ),
            ],
        )


class FindingsHub(Construct):
    """Security Hub with AWS's default standards; it judges by what AWS Config records. Exposes `hub`."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.hub = securityhub.CfnHub(
            self,
            "Hub",
            auto_enable_controls=True,
            control_finding_generator="SECURITY_CONTROL",
            enable_default_standards=True,
        )


@dataclass(frozen=True, kw_only=True)
class ConfigurationRecorderProps:
    name: str
    key: kms.IKey
    """Encrypts the records; its policy has to admit AWS Config (`encryption.grant_to_service`)."""
    access_logs: s3.IBucket


class ConfigurationRecorder(Construct):
    """AWS Config: what every resource was like and when it changed, in a bucket of its own, and rules that judge it.

    Works as AWS Config's service-linked role, which an account has once
    (`aws iam create-service-linked-role --aws-service-name config.amazonaws.com`). Exposes `recorder`, `archive` and
    `rules`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ConfigurationRecorderProps) -> None:
        super().__init__(scope, construct_id)
        account = cdk.Stack.of(self).account
        # AWS Config does not write into a bucket with Object Lock
        self.archive = ArchiveBucket(self, "Archive", key=props.key, lock=None, access_logs=props.access_logs)
        self._admit()
        self.recorder = config.CfnConfigurationRecorder(
            self,
            "Recorder",
            name=props.name,
            role_arn=f"arn:aws:iam::{account}:role/aws-service-role/{_SERVICE}/AWSServiceRoleForConfig",
            recording_group=config.CfnConfigurationRecorder.RecordingGroupProperty(
                all_supported=True, include_global_resource_types=True
            ),
        )
        channel = config.CfnDeliveryChannel(
            self,
            "Channel",
            name=props.name,
            s3_bucket_name=self.archive.bucket_name,
            s3_kms_key_arn=props.key.key_arn,
        )
        if self.archive.policy:  # Config tries a write when the channel is made
            channel.node.add_dependency(self.archive.policy)
        self.rules = [self._rule(construct_id, identifier) for construct_id, identifier in RULES.items()]

    def _rule(self, construct_id: str, identifier: str) -> config.CfnConfigRule:
        rule = config.CfnConfigRule(
            self, construct_id, source=config.CfnConfigRule.SourceProperty(owner="AWS", source_identifier=identifier)
        )
        rule.add_resource_dependency(self.recorder)
        return rule

    def _admit(self) -> None:
        account = cdk.Stack.of(self).account
        service, of_account = principals.service(_SERVICE), {"aws:SourceAccount": account}
        bucket = self.archive
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ConfigLooks",
                principals=[service],
                actions=["s3:GetBucketAcl", "s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringEquals": of_account},
            )
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ConfigWrites",
                principals=[service],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"AWSLogs/{account}/Config/*")],
                conditions={"StringEquals": {**of_account, "s3:x-amz-acl": "bucket-owner-full-control"}},
            )
        )
