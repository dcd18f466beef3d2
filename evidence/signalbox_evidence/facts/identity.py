"""IAM roles: who may take them, and what they may do."""

from dataclasses import dataclass

from signalbox_evidence.facts.policy import Statement
from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class RoleTrust:
    role: Subject
    statements: Fact[tuple[Statement, ...]]


@dataclass(frozen=True, kw_only=True)
class RolePermissions:
    """Every statement of every inline and own managed policy; `aws_managed` are the ARNs of AWS's own."""

    role: Subject
    statements: Fact[tuple[Statement, ...]]
    aws_managed: Fact[tuple[str, ...]]
