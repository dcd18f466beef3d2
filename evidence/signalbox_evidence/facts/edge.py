"""Load balancers, their listeners and target groups."""

from dataclasses import dataclass

from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    subject: Subject
    subnets: Fact[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class LoadBalancerProtection:
    load_balancer: Subject
    deletion_protection: Fact[bool]


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
