"""AWS Backup: what is backed up, by which plans, into which vaults."""

import re
from dataclasses import dataclass

from signalbox_evidence.facts.world import Fact, Subject

_DAILY = re.compile(r"cron\(\S+ \S+ (\*|\?) \* (\*|\?) \*\)|rate\((1 day|1 hour|\d+ hours)\)")
_HOURS_OF_A_DAY = 24


@dataclass(frozen=True)
class Region:
    """A region in which something of the deployment stands."""

    name: str


@dataclass(frozen=True, kw_only=True)
class BackupRule:
    """`copied_to` are regions."""

    schedule: str
    keep_days: int
    copied_to: tuple[str, ...]

    @property
    def is_daily(self) -> bool:
        """Whether it runs on every day at least."""
        hours = re.match(r"rate\((\d+) hours\)", self.schedule)
        return _DAILY.fullmatch(self.schedule) is not None and (not hours or int(hours[1]) <= _HOURS_OF_A_DAY)

    @property
    def text(self) -> str:
        return f"{self.schedule}, kept for {self.keep_days} days, copied to {list(self.copied_to)}"


@dataclass(frozen=True, kw_only=True)
class BackupPlan:
    plan: Subject
    region: str | None
    rules: Fact[tuple[BackupRule, ...]]


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """The plans that select a cluster by its own name, by id."""

    cluster: Subject
    plans: Fact[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Vault:
    """`grace_days`: how long the lock could be taken off since it was put on; None is for ever."""

    subject: Subject
    key_id: Fact[str]
    min_days: Fact[int]
    grace_days: Fact[int]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot of one of the clusters; `shared_with` are accounts, or `all`. Live only."""

    subject: Subject
    encrypted: Fact[bool]
    key_id: Fact[str]
    shared_with: Fact[tuple[str, ...]]
