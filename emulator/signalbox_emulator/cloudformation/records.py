"""What CloudFormation remembers: stacks, their resources and events, and change sets. Nothing is decided here.

Times are aware, in UTC. Invariant: a stack's `resources` are in the order of their creation.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from signalbox_emulator.cloudformation.template import Parameter

JsonObject = dict[str, Any]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Resource:
    """One resource that exists. `properties` are as sent, with the invented name and the stack's tags."""

    logical: str
    type: str
    id: str
    properties: JsonObject
    described: Any
    """What the service answered when it was last read, None before."""
    deletion_policy: str
    replacement_policy: str
    needs: frozenset[str]
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    updated: datetime = field(default_factory=now)
    generation: int = 0
    """How often it was replaced; part of the invented name."""


@dataclass(kw_only=True)
class Event:
    logical: str
    type: str
    id: str
    status: str
    reason: str | None
    at: datetime = field(default_factory=now)
    event_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(kw_only=True)
class Desired:
    """What a caller asks a stack to be."""

    body: str
    template: JsonObject
    parameters: dict[str, Parameter]
    tags: dict[str, str]

    @property
    def given(self) -> dict[str, str]:
        """The parameters as text, those of defaults included."""
        return {name: parameter.given for name, parameter in self.parameters.items()}

    def same_as(self, other: "Desired") -> bool:
        return (self.template, self.parameters, self.tags) == (other.template, other.parameters, other.tags)


@dataclass(kw_only=True)
class Output:
    value: str
    description: str | None
    export: str | None


@dataclass(kw_only=True)
class Stack:
    id: str
    name: str
    region: str
    account: str
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    current: Desired | None = None
    """What it is; None until its creation succeeded."""
    resources: dict[str, Resource] = field(default_factory=dict[str, Resource])
    events: list[Event] = field(default_factory=list[Event])
    outputs: dict[str, Output] = field(default_factory=dict[str, Output])
    protected: bool = False
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    change_set: str | None = None
    notification_arns: list[str] = field(default_factory=list[str])
    capabilities: list[str] = field(default_factory=list[str])
    role: str | None = None
    requested: Desired | None = None
    """What the last operation asked for, whether or not it succeeded."""

    def say(self, status: str, reason: str | None = None) -> None:
        """Set the stack's own status, and record it as an event."""
        self.status, self.reason = status, reason
        stack_type = "AWS::CloudFormation::Stack"
        self.events.append(Event(logical=self.name, type=stack_type, id=self.id, status=status, reason=reason))

    def say_of(self, resource: Resource, status: str, reason: str | None = None) -> None:
        """Set a resource's status, and record it as an event."""
        resource.status, resource.reason, resource.updated = status, reason, now()
        self.events.append(
            Event(logical=resource.logical, type=resource.type, id=resource.id, status=status, reason=reason)
        )

    @property
    def exports(self) -> dict[str, str]:
        return {output.export: output.value for output in self.outputs.values() if output.export}


@dataclass(kw_only=True)
class ChangeSet:
    id: str
    name: str
    stack: Stack
    kind: str
    """CREATE or UPDATE."""
    desired: Desired
    description: str | None
    changes: list[JsonObject]
    status: str
    execution_status: str
    reason: str | None
    created: datetime = field(default_factory=now)
