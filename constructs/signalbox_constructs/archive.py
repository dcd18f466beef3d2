"""Buckets whose objects nobody can delete before their time: records and evidence."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from signalbox_constructs.findings import accept, accept_of_frameworks


@dataclass(frozen=True, kw_only=True)
class ArchiveBucketProps:
    key: kms.IKey
    lock_days: int
    log_bucket: s3.IBucket | None = None
    """Where accesses are logged; None where a trail records them."""


class ArchiveBucket(Construct):
    """An encrypted, versioned bucket with Object Lock in compliance mode: not even the account's root can delete early.

    Exposes `bucket`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ArchiveBucketProps) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=props.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            object_lock_default_retention=s3.ObjectLockRetention.compliance(cdk.Duration.days(props.lock_days)),
            server_access_logs_bucket=props.log_bucket,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(props.lock_days + 1),
                    noncurrent_version_expiration=cdk.Duration.days(1),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        reason = "Locked objects cannot be lost to anybody here; a copy elsewhere is the decision of the deployment."
        accept_of_frameworks(self.bucket, "S3BucketReplicationEnabled", reason=reason)
        if props.log_bucket is None:
            reason = "Reads and writes of its objects are data events of the trail, which tells more than access logs."
            accept(self.bucket, "AwsSolutions::AwsSolutions-S1", reason=reason)
            accept_of_frameworks(self.bucket, "S3BucketLoggingEnabled", reason=reason)
