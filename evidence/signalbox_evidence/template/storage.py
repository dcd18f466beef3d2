"""Buckets, vaults, log groups, deletion policies and stacks as the assembly writes them."""

from signalbox_evidence.facts.policy import Statement
from signalbox_evidence.facts.storage import (
    IRREPLACEABLE,
    BucketAccess,
    BucketEncryption,
    BucketLock,
    Kept,
    LogGroup,
    Stack,
    StorePolicy,
)
from signalbox_evidence.facts.world import Fact, Subject, Unknown
from signalbox_evidence.template.keys import statements_of
from signalbox_evidence.template.resources import Resource, Resources, text

STATEFUL = (
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::EFS::FileSystem",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
)


def _ownership(bucket: Resource) -> Fact[str]:
    rules = bucket.get("OwnershipControls.Rules")
    return rules if rules is None or isinstance(rules, Unknown) else text(rules[0].get("ObjectOwnership"))


def bucket_access(resources: Resources) -> list[BucketAccess]:
    return [
        BucketAccess(
            bucket=bucket.subject,
            block_public_acls=bucket.boolean("PublicAccessBlockConfiguration.BlockPublicAcls"),
            block_public_policy=bucket.boolean("PublicAccessBlockConfiguration.BlockPublicPolicy"),
            ignore_public_acls=bucket.boolean("PublicAccessBlockConfiguration.IgnorePublicAcls"),
            restrict_public_buckets=bucket.boolean("PublicAccessBlockConfiguration.RestrictPublicBuckets"),
            ownership=_ownership(bucket),
        )
        for bucket in resources.of("AWS::S3::Bucket")
    ]


def _data_class(bucket: Resource) -> Fact[str]:
    tags = bucket.get("Tags")
    if tags is None or isinstance(tags, Unknown):
        return tags
    return next((text(row.get("Value")) for row in tags if row.get("Key") == "data-class"), None)


def bucket_locks(resources: Resources) -> list[BucketLock]:
    default = "ObjectLockConfiguration.Rule.DefaultRetention"
    return [
        BucketLock(
            bucket=bucket.subject,
            data_class=_data_class(bucket),
            mode=bucket.text(f"{default}.Mode"),
            days=bucket.number(f"{default}.Days"),
        )
        for bucket in resources.of("AWS::S3::Bucket")
    ]


def _encryption(bucket: Resource, name: str) -> Fact[str]:
    rules = bucket.get("BucketEncryption.ServerSideEncryptionConfiguration")
    if rules is None or isinstance(rules, Unknown):
        return rules
    return text(rules[0].get("ServerSideEncryptionByDefault", {}).get(name))


def bucket_encryptions(resources: Resources) -> list[BucketEncryption]:
    return [
        BucketEncryption(
            bucket=bucket.subject,
            data_class=_data_class(bucket),
            algorithm=_encryption(bucket, "SSEAlgorithm"),
            key_id=_encryption(bucket, "KMSMasterKeyID"),
            versioning=bucket.text("VersioningConfiguration.Status"),
        )
        for bucket in resources.of("AWS::S3::Bucket")
    ]


def _bucket_statements(resources: Resources, bucket: Resource) -> Fact[tuple[Statement, ...]]:
    found: tuple[Statement, ...] = ()
    for policy in resources.of("AWS::S3::BucketPolicy"):
        target = policy.text("Bucket")
        if isinstance(target, Unknown):
            return target
        if target in (bucket.id, bucket.get("BucketName")):
            written = statements_of(policy, "PolicyDocument")
            if isinstance(written, Unknown):
                return written
            found += written or ()
    return found


def store_policies(resources: Resources) -> list[StorePolicy]:
    buckets = [
        StorePolicy(store=bucket.subject, statements=_bucket_statements(resources, bucket))
        for bucket in resources.of("AWS::S3::Bucket")
    ]
    vaults = [
        StorePolicy(store=vault.subject, statements=statements_of(vault, "AccessPolicy") or ())
        for vault in resources.of("AWS::Backup::BackupVault")
    ]
    return buckets + vaults


def log_groups(resources: Resources) -> list[LogGroup]:
    return [
        LogGroup(
            subject=group.subject,
            name=group.text("LogGroupName") or group.id,
            key_id=group.text("KmsKeyId"),
            retention_days=group.number("RetentionInDays"),
        )
        for group in resources.of("AWS::Logs::LogGroup")
    ]


def kept(resources: Resources) -> list[Kept]:
    return [
        Kept(
            subject=resource.subject,
            on_delete=resource.attribute("DeletionPolicy"),
            on_replace=resource.attribute("UpdateReplacePolicy"),
        )
        for resource in resources.of(*STATEFUL)
    ]


def stacks(resources: Resources) -> list[Stack]:
    irreplaceable = {resource.stack.name for resource in resources.of(*IRREPLACEABLE)}
    return [
        Stack(
            subject=Subject(type="AWS::CloudFormation::Stack", id=stack.name),
            irreplaceable=stack.name in irreplaceable,
            termination_protection=stack.termination_protection,
        )
        for stack in resources.assembly.stacks
    ]
