"""The vocabulary's ground: a subject, a fact that may be absent or unknown, and the source of facts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from signalbox_evidence.catalogue import Mode

T = TypeVar("T")


class Subject(BaseModel):
    """One thing that a control looks at.

    `id` is `Stack/LogicalId` in a template and the physical id in an account; `arn` is known in an account only.
    `name` is the construct path, where the template tells it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    id: str
    arn: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Unknown:
    """A value that exists but cannot be told: an unresolved token, a reference out of what was read."""

    reason: str


@dataclass(frozen=True)
class BroughtAlong(Unknown):
    """A value of something that the deployment was given: no template writes it, and the account tells it."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"{resource_id} was brought along: only the account tells")


Fact: TypeAlias = T | Unknown | None
"""A value; `None` when it is not set at all (which no rule may take for a pass); or Unknown (which is an error)."""


def untold(values: Iterable[object]) -> Unknown | None:
    """Return the Unknown among `values` that weighs most: what was brought along comes after what is an error."""
    found = [value for value in values if isinstance(value, Unknown)]
    return min(found, key=lambda it: isinstance(it, BroughtAlong), default=None)


class World(Protocol):
    """A source of facts: a synthesised template, or a live account."""

    @property
    def mode(self) -> Mode: ...

    @property
    def account(self) -> str:
        """The account's number, or `${AWS::AccountId}` for a template that is not bound to one."""
        ...

    def all(self, kind: type[T]) -> list[T]:
        """Every fact of that kind, the whole population, ordered by subject id. Raises ReadFailed."""
        ...
