"""What outlives the server: for each stack what it was last asked to be, so that a new server can make it again.

One file, written whole and renamed into place, with a digest of its content; so an account is restored entirely or not
at all. Only operations that ended well are recorded.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from signalbox_emulator.cloudformation.dynamic import parameters_named
from signalbox_emulator.cloudformation.errors import ValidationError
from signalbox_emulator.cloudformation.records import Stack
from signalbox_emulator.cloudformation.stacks import Stacks, imports

JsonObject = dict[str, Any]

FORMAT = 2
_NAME = "stacks.json"


class StateError(Exception):
    """The records cannot be read, or what they say can no longer be made."""


class State:
    """The records of one account in the directory `root`."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._path = root / _NAME

    def save(self, stacks: Stacks) -> None:
        """Write the stacks that exist, in the order of their creation."""
        content = json.dumps([_record(stack) for stack in stacks.all() if stack.current is not None])
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"format": FORMAT, "sha256": _digest(content), "stacks": content}))
        partial.replace(self._path)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def read(self) -> list[JsonObject]:
        """Return the records in the order in which they can be made again; StateError when they cannot be read."""
        return _in_order(self._read()) if self._path.exists() else []

    def _read(self) -> list[JsonObject]:
        try:
            whole: JsonObject = json.loads(self._path.read_text())
            if whole["format"] != FORMAT:
                raise StateError(f"{self._path} has format {whole['format']}, wanted {FORMAT}")
            if _digest(whole["stacks"]) != whole["sha256"]:
                raise StateError(f"the content of {self._path} does not match its digest")
            return json.loads(whole["stacks"])
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"{self._path} is half written or not ours") from error


def create(stacks: Stacks, record: JsonObject) -> None:
    """Make the stack of a record again, unchecked, as it was checked when it was made first; StateError otherwise."""
    name, region = record["name"], record["region"]
    try:
        desired = stacks.desired(
            name, region, record["body"], given=record["parameters"], previous=set(), tags=record["tags"]
        )
        stack = stacks.review(name, region)
        stack.notification_arns, stack.capabilities = record["notification_arns"], record["capabilities"]
        stack.role = record["role"]
        stacks.create(stack, desired, checked=False)
    except (ValidationError, KeyError) as error:
        raise StateError(f"stack {name}: {error}") from error
    if stack.status != "CREATE_COMPLETE":
        reasons = [event.reason for event in stack.events if event.status.endswith("_FAILED")]
        raise StateError(f"stack {name} cannot be made again: {reasons[0] if reasons else stack.status}")
    stack.protected = record["protected"]


def _record(stack: Stack) -> JsonObject:
    if stack.current is None:
        raise ValueError(f"stack {stack.name} was never created, so there is nothing to record")
    return {
        "name": stack.name,
        "region": stack.region,
        "body": stack.current.body,
        "parameters": stack.current.given,
        "tags": stack.current.tags,
        "protected": stack.protected,
        "notification_arns": stack.notification_arns,
        "capabilities": stack.capabilities,
        "role": stack.role,
        "provides": sorted(stack.exports) + sorted(_parameters(stack)),
    }


def _parameters(stack: Stack) -> list[str]:
    return [resource.id for resource in stack.resources.values() if resource.type == "AWS::SSM::Parameter"]


def _in_order(records: list[JsonObject]) -> list[JsonObject]:
    """Return the records so that a stack comes after those of its region that it takes values from, else as they are.

    The order of creation is not enough: an update may take a value from a stack that is younger.
    """
    ordered: list[JsonObject] = []

    def place(record: JsonObject, waiting: list[JsonObject]) -> None:
        if record in ordered or record in waiting:
            return
        for giver in records:
            if giver["region"] == record["region"] and _takes(record, giver["provides"]):
                place(giver, [*waiting, record])
        ordered.append(record)

    for record in records:
        place(record, [])
    return ordered


def _takes(record: JsonObject, provided: list[str]) -> bool:
    """Return whether a stack imports one of the exports, or reads one of the parameters, of these names."""
    read = parameters_named(record["body"]) | set(record["parameters"].values())
    return bool(read & set(provided)) or bool(imports(record["body"], set(provided)))


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
