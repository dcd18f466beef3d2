"""What a rule says about one attribute of one subject.

`expect` is the only way to a verdict, and it holds the rule of the whole tool: a value that is not set fails, a value
that cannot be told is an error (or is left to the account, for what was brought along), and none is ever a pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast  # JSON has no narrower type

from signalbox_evidence.canonical import utc
from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.facts.world import BroughtAlong, Fact, Subject, Unknown

T = TypeVar("T")


class Outcome(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    ERROR = "error"
    NOT_VERIFIABLE = "not_verifiable"


class Finding(Frozen):
    """`attribute` is `Type.Property` in CloudFormation's words, in both modes; `actual` is JSON, None when not set."""

    subject: Subject
    attribute: str
    expected: str
    actual: Any
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Attribute:
    """`Attribute("AWS::RDS::DBCluster", "StorageEncrypted")`"""

    type: str
    property: str

    def __str__(self) -> str:
        return f"{self.type}.{self.property}"


def shown(value: Any) -> Any:
    """`value` as JSON for the report: facts as their `text`, sets and tuples as lists."""
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [shown(item) for item in cast("list[Any]", value)]
    if is_dataclass(value):
        return str(getattr(value, "text", value))
    return value


def expect(
    subject: Subject, attribute: Attribute, actual: Fact[T], expected: str, holds: Callable[[T], bool]
) -> Finding:
    """The finding that `actual` is as `expected` says, decided by `holds` when there is a value to decide on."""

    def finding(outcome: Outcome, value: Any, reason: str = "") -> Finding:
        return Finding(
            subject=subject, attribute=str(attribute), expected=expected, actual=value, outcome=outcome, reason=reason
        )

    if isinstance(actual, BroughtAlong):
        return finding(Outcome.NOT_VERIFIABLE, None, actual.reason)
    if isinstance(actual, Unknown):
        return finding(Outcome.ERROR, None, actual.reason)
    if actual is None:
        return finding(Outcome.FAILS, None, "not set")
    return finding(Outcome.HOLDS if holds(actual) else Outcome.FAILS, shown(actual))


def is_true(value: bool) -> bool:
    return value


def is_false(value: bool) -> bool:
    return not value
