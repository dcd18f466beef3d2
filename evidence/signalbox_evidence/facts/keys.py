"""KMS keys."""

from dataclasses import dataclass

from signalbox_evidence.facts.policy import Statement
from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class Key:
    """`manager` is CUSTOMER or AWS; `state` is Enabled, Disabled, PendingDeletion, ..."""

    subject: Subject
    manager: Fact[str]
    state: Fact[str]
    symmetric: Fact[bool]


@dataclass(frozen=True, kw_only=True)
class KeyRotation:
    key: Subject
    on: Fact[bool]
    period_days: Fact[int]


@dataclass(frozen=True, kw_only=True)
class KeyDeletion:
    """What the template says about deleting a key. Template only: an account does not tell it before it happens."""

    key: Subject
    window_days: Fact[int]
    on_delete: Fact[str]
    on_replace: Fact[str]


@dataclass(frozen=True, kw_only=True)
class KeyPolicy:
    key: Subject
    statements: Fact[tuple[Statement, ...]]
