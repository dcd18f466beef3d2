"""Aurora clusters and their instances."""

from dataclasses import dataclass
from datetime import datetime

from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class Cluster:
    subject: Subject
    encrypted: Fact[bool]
    key_id: Fact[str]
    retention_days: Fact[int]
    backup_window: Fact[str]
    deletion_protection: Fact[bool]
    iam_authentication: Fact[bool]
    port: Fact[int]
    security_groups: Fact[tuple[str, ...]]
    subnets: Fact[tuple[str, ...]]
    follows: bool
    """Whether it repeats the writes of another region's cluster and serves nobody until it takes that one's place."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    subject: Subject
    cluster_id: Fact[str]
    public: Fact[bool]
    promotion_tier: Fact[int]
    zone: Fact[str]


@dataclass(frozen=True, kw_only=True)
class ForcedTls:
    """`rds.force_ssl` in the parameter group in force for a cluster, and whether each member runs with that group."""

    cluster: Subject
    force_ssl: Fact[str]
    in_sync: Fact[bool]


@dataclass(frozen=True, kw_only=True)
class QueryLog:
    """The parameters that say what PostgreSQL writes of statements into its log, as the group in force has them."""

    cluster: Subject
    statements: Fact[str]
    min_duration: Fact[str]
    parameter_length: Fact[str]
    parameter_length_on_error: Fact[str]


@dataclass(frozen=True, kw_only=True)
class RestoreWindow:
    """The span of time to which a cluster can be restored; `read_at` is the reader's clock. Live only."""

    cluster: Subject
    retention_days: Fact[int]
    created: Fact[datetime]
    earliest: Fact[datetime]
    latest: Fact[datetime]
    read_at: datetime
