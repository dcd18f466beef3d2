"""Buckets, backup vaults, log groups, and what CloudFormation keeps of stateful resources."""

from dataclasses import dataclass

from signalbox_evidence.facts.policy import Statement
from signalbox_evidence.facts.world import Fact, Subject

IRREPLACEABLE = ("AWS::Backup::BackupVault", "AWS::KMS::Key", "AWS::RDS::DBCluster")
"""What no redeployment brings back: a stack that holds one is to be protected against deletion as a whole."""


@dataclass(frozen=True, kw_only=True)
class BucketAccess:
    bucket: Subject
    block_public_acls: Fact[bool]
    block_public_policy: Fact[bool]
    ignore_public_acls: Fact[bool]
    restrict_public_buckets: Fact[bool]
    ownership: Fact[str]


RECORDS, ACCESS_LOGS = "records", "access-logs"
DATA_CLASSES = (RECORDS, ACCESS_LOGS, "snapshots", "artifacts")
"""What a bucket's tag `data-class` may say that it keeps."""


@dataclass(frozen=True, kw_only=True)
class BucketLock:
    """What a bucket keeps (of DATA_CLASSES), and how long nobody can delete it; no lock is None."""

    bucket: Subject
    data_class: Fact[str]
    mode: Fact[str]
    days: Fact[int]


@dataclass(frozen=True, kw_only=True)
class BucketEncryption:
    bucket: Subject
    data_class: Fact[str]
    algorithm: Fact[str]
    key_id: Fact[str]
    versioning: Fact[str]


@dataclass(frozen=True, kw_only=True)
class StorePolicy:
    """The resource policy of a bucket or backup vault; no policy at all is an empty tuple."""

    store: Subject
    statements: Fact[tuple[Statement, ...]]


@dataclass(frozen=True, kw_only=True)
class LogGroup:
    subject: Subject
    name: Fact[str]
    key_id: Fact[str]
    retention_days: Fact[int]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A stateful resource and what happens to it when it leaves the template or is replaced. Template only."""

    subject: Subject
    on_delete: Fact[str]
    on_replace: Fact[str]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A CloudFormation stack; `irreplaceable` when it holds what no redeployment brings back."""

    subject: Subject
    irreplaceable: bool
    termination_protection: Fact[bool]
