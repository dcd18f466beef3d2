"""Buckets that only grow: records that nobody can delete before its time, and the record of their readers."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from signalbox_constructs.encryption import LOG_RETENTION_DAYS
from signalbox_constructs.findings import accept, accept_of_frameworks

_TIDY_UP = cdk.Duration.days(7)
_COLD = cdk.Duration.days(90)


class AccessLogBucket(s3.Bucket):
    """Where access logs of buckets and of load balancers end; kept for a year and a month, encrypted by S3."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(
            scope,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=_TIDY_UP,
                    expiration=cdk.Duration.days(LOG_RETENTION_DAYS),
                    noncurrent_version_expiration=_TIDY_UP,
                )
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        cdk.Tags.of(self).add("data-class", "access-logs")
        ends_here = "Access logs end here; logs of the log bucket would describe themselves without end."
        accept(self, "AwsSolutions::AwsSolutions-S1", reason=ends_here)
        accept_of_frameworks(self, "S3BucketLoggingEnabled", reason=ends_here)
        accept_of_frameworks(
            self,
            "S3DefaultEncryptionKMS",
            reason="S3 and load balancers deliver logs only to buckets that S3 encrypts with its own key (SSE-S3).",
        )
        accept_of_frameworks(
            self,
            "S3BucketReplicationEnabled",
            reason="Access logs describe what was asked of this region, and are of no use to a recovery elsewhere.",
        )


class ArchiveBucket(s3.Bucket):
    """Records under `key` that nobody deletes for `lock`, not even the account's root (Object Lock, compliance).

    Without `lock`, for a service that refuses to write into a locked bucket, versions alone keep what was written.

    Versioned, by TLS only, never public; reads are recorded in `access_logs`. After 90 days records move to cheaper
    storage that is read as fast, and they stay until somebody deletes them after `lock`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.IKey, lock: cdk.Duration | None, access_logs: s3.IBucket
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            object_lock_enabled=lock is not None,
            object_lock_default_retention=s3.ObjectLockRetention.compliance(lock) if lock else None,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{construct_id.lower()}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=_TIDY_UP,
                    transitions=[
                        s3.Transition(storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=_COLD)
                    ],
                )
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        cdk.Tags.of(self).add("data-class", "records" if lock else "snapshots")
        accept_of_frameworks(
            self,
            "S3BucketReplicationEnabled",
            reason="Objects are locked and kept over three zones; what a second region needs to go on is the database, "
            "which is copied there.",
        )
