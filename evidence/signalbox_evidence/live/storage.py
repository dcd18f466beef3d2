"""Buckets, vaults, log groups and stacks as their services describe them."""

import json
from typing import Any  # API answers are free JSON

from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.facts.policy import Statement, statements
from signalbox_evidence.facts.storage import (
    IRREPLACEABLE,
    BucketAccess,
    BucketEncryption,
    BucketLock,
    LogGroup,
    Stack,
    StorePolicy,
)
from signalbox_evidence.facts.world import Fact, Subject, Unknown
from signalbox_evidence.live.deployment import Deployment, complete

_BUCKET, _VAULT, _LOG_GROUP = "AWS::S3::Bucket", "AWS::Backup::BackupVault", "AWS::Logs::LogGroup"


def _bucket(name: str) -> Subject:
    return Subject(type=_BUCKET, id=name, arn=f"arn:aws:s3:::{name}")


def bucket_access(deployment: Deployment) -> list[BucketAccess]:
    found: list[BucketAccess] = []
    for name in deployment.ids(_BUCKET):
        pages = deployment.probe.read(
            "s3:GetPublicAccessBlock", missing=["NoSuchPublicAccessBlockConfiguration"], Bucket=name
        )
        block: dict[str, Any] = pages[0]["PublicAccessBlockConfiguration"] if pages else {}
        controls = deployment.probe.read(
            "s3:GetBucketOwnershipControls", missing=["OwnershipControlsNotFoundError"], Bucket=name
        )
        rules: list[dict[str, str]] = controls[0]["OwnershipControls"]["Rules"] if controls else []
        found.append(
            BucketAccess(
                bucket=_bucket(name),
                block_public_acls=block.get("BlockPublicAcls"),
                block_public_policy=block.get("BlockPublicPolicy"),
                ignore_public_acls=block.get("IgnorePublicAcls"),
                restrict_public_buckets=block.get("RestrictPublicBuckets"),
                ownership=rules[0]["ObjectOwnership"] if rules else None,
            )
        )
    return found


def _data_class(deployment: Deployment, name: str) -> str | None:
    tags = deployment.probe.rows("s3:GetBucketTagging", "TagSet", missing=["NoSuchTagSet"], Bucket=name)
    return next((tag["Value"] for tag in tags if tag["Key"] == "data-class"), None)


def bucket_locks(deployment: Deployment) -> list[BucketLock]:
    found: list[BucketLock] = []
    for name in deployment.ids(_BUCKET):
        pages = deployment.probe.read(
            "s3:GetObjectLockConfiguration", missing=["ObjectLockConfigurationNotFoundError"], Bucket=name
        )
        lock: dict[str, Any] = pages[0].get("ObjectLockConfiguration", {}) if pages else {}
        default: dict[str, Any] = lock.get("Rule", {}).get("DefaultRetention", {})
        found.append(
            BucketLock(
                bucket=_bucket(name),
                data_class=_data_class(deployment, name),
                mode=default.get("Mode"),
                days=default.get("Days"),
            )
        )
    return found


def bucket_encryptions(deployment: Deployment) -> list[BucketEncryption]:
    found: list[BucketEncryption] = []
    for name in deployment.ids(_BUCKET):
        pages = deployment.probe.read(
            "s3:GetBucketEncryption", missing=["ServerSideEncryptionConfigurationNotFoundError"], Bucket=name
        )
        rules: list[dict[str, Any]] = pages[0]["ServerSideEncryptionConfiguration"]["Rules"] if pages else []
        default: dict[str, str] = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
        key = default.get("KMSMasterKeyID")
        versions = deployment.probe.read("s3:GetBucketVersioning", Bucket=name)
        found.append(
            BucketEncryption(
                bucket=_bucket(name),
                data_class=_data_class(deployment, name),
                algorithm=default.get("SSEAlgorithm"),
                key_id=key.rpartition("/")[2] if key else None,
                versioning=versions[0].get("Status"),
            )
        )
    return found


def _policy(pages: list[dict[str, Any]]) -> tuple[Statement, ...]:
    return statements(json.loads(pages[0]["Policy"])) if pages else ()


def store_policies(deployment: Deployment) -> list[StorePolicy]:
    probe, names = deployment.probe, deployment.ids(_VAULT)
    buckets = [
        StorePolicy(
            store=_bucket(name),
            statements=_policy(probe.read("s3:GetBucketPolicy", missing=["NoSuchBucketPolicy"], Bucket=name)),
        )
        for name in deployment.ids(_BUCKET)
    ]
    vaults = [StorePolicy(store=Subject(type=_VAULT, id=it), statements=_of_vault(deployment, it)) for it in names]
    return buckets + vaults


def _of_vault(deployment: Deployment, name: str) -> Fact[tuple[Statement, ...]]:
    """A failed read is of the vault alone: the other policies can be told all the same."""
    operation, none = "backup:GetBackupVaultAccessPolicy", ["ResourceNotFoundException"]
    try:
        return _policy(deployment.probe.read(operation, missing=none, BackupVaultName=name))
    except ReadFailed as error:
        return Unknown(str(error))


def log_groups(deployment: Deployment) -> list[LogGroup]:
    declared = deployment.ids(_LOG_GROUP)
    rows = [
        row
        for name in declared
        for row in deployment.probe.rows("logs:DescribeLogGroups", "logGroups", logGroupNamePrefix=name)
        if row["logGroupName"] == name
    ]
    complete("log groups", declared, [row["logGroupName"] for row in rows])
    return [
        LogGroup(
            subject=Subject(type=_LOG_GROUP, id=row["logGroupName"], arn=row.get("arn")),
            name=row["logGroupName"],
            key_id=row.get("kmsKeyId"),
            retention_days=row.get("retentionInDays"),
        )
        for row in rows
    ]


def stacks(deployment: Deployment) -> list[Stack]:
    return [
        Stack(
            subject=Subject(type="AWS::CloudFormation::Stack", id=stack.name, arn=stack.arn),
            irreplaceable=not deployment.types_in(stack.name).isdisjoint(IRREPLACEABLE),
            termination_protection=stack.termination_protection,
        )
        for stack in deployment.stacks()
    ]
