"""Load balancers, their listeners and target groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # rules are free JSON

from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    subject: Subject
    subnets: Fact[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerProtection:
    load_balancer: Subject
    deletion_protection: Fact[bool]
    drops_invalid_headers: Fact[bool]
    desync_mode: Fact[str]


@dataclass(frozen=True, kw_only=True)
class Firewall:
    """The web ACL before a load balancer: AWS's rule groups that block, and whether floods of one address are."""

    load_balancer: Subject
    acl: Fact[str]
    groups: Fact[tuple[str, ...]]
    rate_limited: Fact[bool]


def read_acl_rules(rules: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], bool]:
    """Return what `Firewall` says of the rules of a web ACL: a template and the API write them alike."""
    groups: list[str] = []
    limited = False
    for rule in rules:
        statement: Mapping[str, Any] = rule.get("Statement", {})
        managed: Mapping[str, Any] | None = statement.get("ManagedRuleGroupStatement")
        if managed and managed.get("VendorName") == "AWS" and "None" in rule.get("OverrideAction", {}):
            groups.append(str(managed.get("Name")))
        if "RateBasedStatement" in statement and "Block" in rule.get("Action", {}):
            limited = True
    return tuple(sorted(groups)), limited


@dataclass(frozen=True)
class Action:
    """What a listener or one of its rules does; the last three are set on redirects."""

    type: str
    protocol: str = ""
    port: str = ""
    code: str = ""

    @property
    def text(self) -> str:
        return f"redirect {self.protocol} {self.port} {self.code}" if self.type == "redirect" else self.type


@dataclass(frozen=True, kw_only=True)
class Listener:
    """`actions` are the default actions and those of every rule."""

    subject: Subject
    load_balancer_id: Fact[str]
    port: Fact[int]
    protocol: Fact[str]
    policy: Fact[str]
    actions: Fact[tuple[Action, ...]]


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    subject: Subject
    protocol: Fact[str]
    health_protocol: Fact[str]
