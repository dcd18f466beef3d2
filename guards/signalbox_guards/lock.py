"""The logical-id lock: what every guarded resource is, committed as one file a stack, `LOCKS/CONFIGURATION/STACK.json`.

The lock is always fresh: a new guarded resource has to be in it too. What it forbids is that an entry vanishes or
becomes another resource without an acceptance that says why.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from signalbox_guards.acceptances import read_acceptances, write_acceptances
from signalbox_guards.assembly import Assembly, Matrix, parse_json, read_bytes
from signalbox_guards.canonical import Json, pretty
from signalbox_guards.changes import Change, Kind, weaker
from signalbox_guards.errors import BadInput, Refused
from signalbox_guards.states import ABSENT_STATE, States

ACCEPTED = "accepted.yaml"
_POLICIES = (("DeletionPolicy", "deletion_policy"), ("UpdateReplacePolicy", "update_replace_policy"))


def lock_of(assembly: Assembly) -> dict[str, Json]:
    """The lock of each stack that has a guarded resource.

    `stateful` is false for what holds no data itself but takes others down; see stateful.yaml.
    """
    states = States(assembly)
    locks: dict[str, Json] = {}
    for stack in assembly.stacks.values():
        entries = {
            state.logical_id: {
                "type": state.type,
                "stateful": state.guarded.holds_data,
                "create_only": states.value_digests(state.address),
                "digest": states.digest(state.address),
                "deletion_policy": state.deletion_policy,
                "update_replace_policy": state.update_replace_policy,
            }
            for state in states.of_stack(stack.name)
            if state.guarded
        }
        if entries:
            locks[stack.name] = {"termination_protection": stack.termination_protection, "resources": entries}
    return locks


def _read(folder: Path) -> dict[str, Json]:
    return {path.stem: parse_json(read_bytes(path, "a lock"), str(path)) for path in sorted(folder.glob("*.json"))}


def _unprotected(was: Json, becomes: Json) -> Iterator[tuple[str, str]]:
    for name, key in _POLICIES:
        if weaker(was[key], becomes[key]):
            yield f"{name}: was {was[key]}, becomes {becomes[key]}", f"{name}={becomes[key]}"


def _entry_changes(was: Json, becomes: Json | None) -> Iterator[tuple[Kind, tuple[str, ...], str]]:
    """(kind, causes, becomes) of one entry."""
    if becomes is None:
        yield (
            Kind.REMOVED,
            ("not in the template any more (removed, renamed, or moved to another stack)",),
            ABSENT_STATE,
        )
        return
    if was["type"] != becomes["type"]:
        yield Kind.TYPE, (f"type: was {was['type']}, becomes {becomes['type']}",), becomes["digest"]
    elif was["digest"] != becomes["digest"]:
        old, new = was["create_only"], becomes["create_only"]
        changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
        causes = tuple(
            f"{path}: wanted digest {old.get(path, 'of nothing')}, got {new.get(path, 'nothing')}" for path in changed
        )
        yield Kind.REPLACED, causes, becomes["digest"]
    for cause, given_up in _unprotected(was, becomes):
        yield Kind.UNPROTECTED, (cause,), given_up


def _stack_changes(was: Json, becomes: Json) -> Iterator[tuple[str, str, Kind, tuple[str, ...], str]]:
    """(logical id, type, kind, causes, becomes) of one stack."""
    if was.get("termination_protection") and not becomes.get("termination_protection") and becomes:
        cause = "TerminationProtection: was true, becomes false"
        yield (
            "TerminationProtection",
            "AWS::CloudFormation::Stack",
            Kind.UNPROTECTED,
            (cause,),
            "TerminationProtection=false",
        )
    before: dict[str, Json] = was.get("resources", {})
    after: dict[str, Json] = becomes.get("resources", {})
    for logical_id, entry in before.items():
        for kind, causes, state in _entry_changes(entry, after.get(logical_id)):
            yield logical_id, entry["type"], kind, causes, state
    for logical_id in sorted(set(after) - set(before)):
        yield logical_id, after[logical_id]["type"], Kind.NEW, ("run `signalbox-guards lock write`",), ""


def _configuration_changes(name: str, was: dict[str, Json], becomes: dict[str, Json]) -> Iterator[Change]:
    for stack in sorted({*was, *becomes}):
        for logical_id, type_name, kind, causes, state in _stack_changes(was.get(stack, {}), becomes.get(stack, {})):
            yield Change(
                configuration=name,
                stack=stack,
                logical_id=logical_id,
                type=type_name,
                kind=kind,
                causes=causes,
                becomes=state,
                guarded=True,
            )


def changes(matrix: Matrix, locks: Path) -> list[Change]:
    """How the templates differ from their locks, in every configuration of the matrix and of the locks.

    Raises BadInput when the locks hold a configuration that the matrix lacks.
    """
    folders = {path.name for path in locks.iterdir() if path.is_dir()} if locks.is_dir() else set[str]()
    if gone := sorted(folders - set(matrix)):
        raise BadInput(
            f"{locks}: has locks of {gone}, which the matrix lacks: wanted its assemblies, or delete the folder"
        )
    return [
        change
        for name, assembly in matrix.items()
        for change in _configuration_changes(name, _read(locks / name), lock_of(assembly))
    ]


def is_fresh(matrix: Matrix, locks: Path) -> bool:
    """Whether writing the locks would change no file."""
    return all(_read(locks / name) == lock_of(assembly) for name, assembly in matrix.items())


def write(matrix: Matrix, locks: Path, *, accept: list[str], reason: str | None, today: date) -> list[Change]:
    """Write the locks, and give back the changes that `accept` ("stack/LogicalId") let through.

    Raises Refused, and writes nothing, when an entry vanishes, becomes another resource or loses protection, and is not
    named; BadInput when a name fits no such change, or there is no reason.
    """
    guarded_changes = [change for change in changes(matrix, locks) if change.kind != Kind.NEW]
    named = {change.address for change in guarded_changes}
    if unknown := sorted(set(accept) - named):
        raise BadInput(f"--accept: wanted STACK/LOGICALID of a change, one of {sorted(named)}, got {unknown}")
    if accept and not reason:
        raise BadInput("--accept: wanted --reason TEXT that says why, got none")
    register = read_acceptances(locks / ACCEPTED)
    refused = [
        change
        for change in guarded_changes
        if change.address not in accept and register.reason(change.address, change.becomes) is None
    ]
    if refused:
        told = "\n".join(change.line() for change in refused)
        raise Refused(f"not written, as these need --accept STACK/LOGICALID --reason TEXT:\n{told}")
    for change in guarded_changes:
        register = register.with_entry(change.address, change.becomes, reason or "", today)
    for name, assembly in matrix.items():
        _write_configuration(locks / name, lock_of(assembly))
    if register.accepted:
        write_acceptances(locks / ACCEPTED, register)
    return guarded_changes


def _write_configuration(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.stem not in content:
            path.unlink()
    for stack, lock in content.items():
        (folder / f"{stack}.json").write_text(pretty(lock))
