"""What a row of the type table is, and what every row can do.

A row says which call of the service's public API creates a resource from its properties, which one reads it back,
changes it and deletes it. Invariant: after a creation or a change every property reads back as it was sent, or it
stands in the capability list, or the operation fails and says which one was lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import jmespath
from botocore.model import StructureShape

from signalbox_emulator.types.shapes import NoHome, differences, fit, member, text

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class _Slot:
    """A place in a call's arguments that is filled when the call is made."""

    name: str


ID = _Slot("id")
"""The physical id of the resource."""
VALUE = _Slot("value")
"""The value of the property that the call is made for."""
KEYS = _Slot("keys")
"""The keys of the tags that the call is made for."""


def prop(name: str) -> _Slot:
    """Return the slot of another property of the same resource."""
    return _Slot(f"property {name}")


@dataclass(frozen=True)
class Call:
    """One operation of the type's service; `arguments` may hold slots, and functions of the target."""

    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Read:
    """A call, and the JMESPath of what matters in its answer."""

    operation: str
    arguments: Mapping[str, Any]
    path: str


@dataclass(kw_only=True)
class Target:
    """One resource of one stack while it is worked on. `properties` are resolved; `id` is empty before the creation."""

    type: str
    region: str
    account: str
    properties: JsonObject
    clients: Callable[[str, str], Any]
    """(service, region) -> boto3 client"""
    id: str = ""

    former: JsonObject = field(default_factory=dict[str, Any])
    """At a change, the properties before it."""

    def client(self, service: str) -> Any:
        return self.clients(service, self.region)

    def send(self, service: str, operation: str, arguments: JsonObject) -> Any:
        """Make a call with `arguments` in a template's words; NoHome when the operation has no place for one."""
        return getattr(self.client(service), operation)(**self.fitted(service, operation, arguments))

    def fitted(self, service: str, operation: str, arguments: JsonObject) -> JsonObject:
        """Return `arguments` in the form of the operation's input."""
        return fit(input_shape(self.client(service), operation), arguments, self.type)


Step = Call | Callable[[Target, Any], None]
"""A call, or a function of the target and the value."""
Reader = str | Read | Callable[[Target], Any]


@dataclass(frozen=True)
class TagCalls:
    """How tags are changed after the creation; `at_creation` when the create call takes them itself."""

    add: Step
    remove: Step
    at_creation: bool = True


ALL = frozenset({"*"})
"""Every property: nothing of the resource can be changed in place, but its tags."""


class Refused(Exception):
    """A change that this emulator does not carry out."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One CloudFormation type."""

    type: str
    service: str
    create: Callable[[Target], str] | str
    """An operation that takes the properties, or a function that returns the physical id."""
    ref: str | Callable[[Target], str] = ""
    """Where the create answer holds the physical id (JMESPath), or what it is made of."""
    read: Reader | None = None
    """How to read the resource; None for a type that stands for no resource of the service."""
    delete: Step | None
    rename: Mapping[str, str] = field(default_factory=dict[str, str])
    """Property -> input member of the create and modify calls, where the names differ."""
    after: Mapping[str, Step] = field(default_factory=dict[str, Step])
    """Properties that have calls of their own, made after the creation and at each change."""
    change: Mapping[str, Step] = field(default_factory=dict[str, Step])
    """Properties that the create call takes, and that have calls of their own at a change."""
    modify: Call | Callable[[Target], None] | None = None
    """The operation that takes changed properties by name, or a function that brings the whole resource up to date."""
    whole: bool = False
    """Whether the modify call takes all properties, and so unsets what is no longer among them."""
    always: frozenset[str] = frozenset()
    """Properties that the modify call wants even when they do not change."""
    replace: frozenset[str] = frozenset()
    """Properties whose change needs a new resource."""
    at_deletion: frozenset[str] = frozenset()
    """Properties that no service stores: CloudFormation itself uses them, when it deletes the resource."""
    unread: frozenset[str] = frozenset()
    """Properties that the service takes and that its API never answers, in AWS neither."""
    reads: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """Property -> where it reads back, for those that do not under their own name in the resource."""
    expects: Mapping[str, Callable[[Target], Any]] = field(default_factory=dict[str, "Callable[[Target], Any]"])
    """Property -> what it is expected to read back as, where the service says it in other words."""
    attributes: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    """What Fn::GetAtt knows: JMESPath in the resource, or a function."""
    name: str = ""
    """The property that CloudFormation invents when the template leaves it out."""
    name_length: int = 64
    lower_case: bool = False
    tags: TagCalls | None = None

    def start(self, target: Target) -> None:
        """Create the resource and set `target.id`. Later steps may fail; what exists by then has an id."""
        if callable(self.create):
            target.id = self.create(target)
            return
        own = self._own(target)
        if "Tags" in target.properties and (self.tags is None or self.tags.at_creation):
            own |= {"Tags"}
        answer = self._call(target, self.create, {self.rename.get(n, n): target.properties[n] for n in sorted(own)})
        target.id = self.ref(target) if callable(self.ref) else text(jmespath.search(self.ref, answer))

    def finish(self, target: Target) -> None:
        """Set what the create call has no place for."""
        for name in self.after:
            if name in target.properties:
                self._step(target, self.after[name], target.properties[name])
        if self.tags and not self.tags.at_creation and target.properties.get("Tags"):
            self._step(target, self.tags.add, target.properties["Tags"])

    def look(self, target: Target) -> Any:
        """Return the resource as its service describes it."""
        return {} if self.read is None else self._read(target, self.read, {})

    def lost(self, target: Target, described: Any) -> list[str]:
        """Return the paths of the properties that do not read back as they were sent."""
        paths: list[str] = []
        for name, value in target.properties.items():
            if name in self.at_deletion | self.unread:
                continue
            reader = self.reads.get(name, self.rename.get(name, name))
            if isinstance(reader, str):
                found = self._search(reader, described)
            else:
                found = self._read(target, reader, described)
            expected = self.expects[name](target) if name in self.expects else value
            paths += differences(expected, found, name)
        return paths

    def attribute(self, target: Target, described: Any, name: str) -> Any:
        """Return attribute `name`; KeyError when the type has none of that name."""
        return self._read(target, self.attributes[name], described)

    def needs_replacement(self, old: JsonObject, new: JsonObject) -> bool:
        changed = _changed(old, new) - ({"Tags"} if self.tags else set())
        return bool(changed if self.replace is ALL else changed & self.replace)

    def update(self, target: Target) -> None:
        """Bring the resource from `target.former` to its properties; Refused before any call when that has no way."""
        old = target.former
        changed = _changed(old, target.properties) - ({"Tags"} if self.tags else set()) - self.at_deletion
        steps = {**self.after, **self.change}
        stepwise = changed & steps.keys()
        rest = changed - stepwise
        gone = sorted(n for n in changed if n not in target.properties and not (n in rest and self.takes_all))
        stuck = sorted(n for n in rest if not self._modifies(target, n))
        if gone or stuck:
            words = f"removing {', '.join(gone)} from" if gone else f"changing {', '.join(stuck)} of"
            raise Refused(f"this emulator does not support {words} a {self.type}")
        for name in sorted(stepwise):
            self._step(target, steps[name], target.properties[name])
        if rest and isinstance(self.modify, Call):
            takes = {name for name in self._own(target) if self._modifies(target, name)}
            sent = takes if self.whole else rest | (self.always & takes)
            changes = {self.rename.get(n, n): target.properties[n] for n in sent}
            self._call(target, self.modify.operation, self._fill(self.modify.arguments, target, None) | changes)
        elif rest and callable(self.modify):
            self.modify(target)
        if self.tags:
            self._retag(self.tags, target, old.get("Tags", []), target.properties.get("Tags", []))

    def remove(self, target: Target, policy: str) -> None:
        """Delete the resource; `policy` is Snapshot where the template wants the data kept."""
        if self.delete is not None:
            self._step(target, self.delete, policy)

    def _retag(self, calls: TagCalls, target: Target, old: list[JsonObject], new: list[JsonObject]) -> None:
        keys = {tag["Key"] for tag in new}
        if added := [tag for tag in new if tag not in old]:
            self._step(target, calls.add, added)
        if removed := [tag for tag in old if tag["Key"] not in keys]:
            self._step(target, calls.remove, removed)

    @property
    def takes_all(self) -> bool:
        """Whether a change sends every property, so that one that is left out is unset."""
        return self.whole or (self.modify is not None and not isinstance(self.modify, Call))

    def _own(self, target: Target) -> set[str]:
        """Return the properties that the create call takes, but for tags."""
        return target.properties.keys() - self.after.keys() - self.at_deletion - {"Tags"}

    def _modifies(self, target: Target, name: str) -> bool:
        if not isinstance(self.modify, Call):
            return self.modify is not None
        shape = input_shape(target.client(self.service), self.modify.operation)
        return member(shape, self.rename.get(name, name)) is not None

    def _step(self, target: Target, step: Step, value: Any) -> None:
        if isinstance(step, Call):
            self._call(target, step.operation, self._fill(step.arguments, target, value))
        else:
            step(target, value)

    def _read(self, target: Target, reader: Reader, described: Any) -> Any:
        if isinstance(reader, str):
            return self._search(reader, described)
        if isinstance(reader, Read):
            answer = self._call(target, reader.operation, self._fill(reader.arguments, target, None))
            return jmespath.search(reader.path, answer)
        return reader(target)

    @staticmethod
    def _search(path: str, described: Any) -> Any:
        if path.isidentifier() and isinstance(described, dict):
            have = {str(k).lower(): v for k, v in cast("JsonObject", described).items()}
            return have.get(path.lower())
        return jmespath.search(path, described)

    def _fill(self, arguments: Any, target: Target, value: Any) -> Any:
        if isinstance(arguments, _Slot):
            if arguments is ID:
                return target.id
            if arguments is VALUE:
                return value
            if arguments is KEYS:
                return [tag["Key"] for tag in value]
            return target.properties[arguments.name.removeprefix("property ")]
        if callable(arguments):
            return arguments(target)
        if isinstance(arguments, Mapping):
            return {k: self._fill(v, target, value) for k, v in cast("Mapping[str, Any]", arguments).items()}
        if isinstance(arguments, list):
            return [self._fill(item, target, value) for item in cast("list[Any]", arguments)]
        return arguments

    def _call(self, target: Target, operation: str, arguments: JsonObject) -> Any:
        return target.send(self.service, operation, arguments)


def _changed(old: JsonObject, new: JsonObject) -> set[str]:
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def input_shape(client: Any, operation: str) -> StructureShape:
    """Return the input shape of a client's operation."""
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation]).input_shape
    if not isinstance(shape, StructureShape):
        raise NoHome(f"{operation} takes no input")
    return shape
