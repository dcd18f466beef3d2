"""ECS services and the task definitions that they run."""

from dataclasses import dataclass

from signalbox_evidence.facts.world import Fact, Subject


@dataclass(frozen=True, kw_only=True)
class Service:
    """`desired` is the floor: the desired count, or the least that autoscaling may go down to."""

    subject: Subject
    task_definition: Fact[str]
    subnets: Fact[tuple[str, ...]]
    security_groups: Fact[tuple[str, ...]]
    public_ip: Fact[str]
    desired: Fact[int]
    min_healthy_percent: Fact[int]
    rollback: Fact[bool]
    rebalancing: Fact[str]
    exec_enabled: Fact[bool]


@dataclass(frozen=True, kw_only=True)
class Running:
    """How many tasks of a service really run. Live only."""

    service: Subject
    count: Fact[int]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository of images. `expires`: whether a rule takes old images away."""

    subject: Subject
    mutability: Fact[str]
    scanned: Fact[bool]
    key_id: Fact[str]
    expires: Fact[bool]


@dataclass(frozen=True)
class Variable:
    """A plain environment variable. `resembles` names the kind of secret that its value looks like, if any.

    The value itself is kept for the names of `PUBLIC_VARIABLES` only.
    """

    name: str
    resembles: str | None
    value: str | None


@dataclass(frozen=True, kw_only=True)
class Container:
    subject: Subject
    task_definition: str
    image: Fact[str]
    user: Fact[str]
    privileged: Fact[bool]
    dropped: Fact[tuple[str, ...]]
    read_only: Fact[bool]
    environment: Fact[tuple[Variable, ...]]
