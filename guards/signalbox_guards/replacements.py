"""What an upgrade from one release to another would replace, delete or leave unprotected, judged from templates alone.

The rules are CloudFormation's: a changed create-only property, type or logical id makes a new resource, and so does a
create-only property that refers to a resource that is itself replaced. A value that nobody can know before deployment
counts as changed when it is written differently.
"""

from collections.abc import Iterator
from typing import Any  # property values are free JSON

from signalbox_guards.acceptances import Acceptances
from signalbox_guards.assembly import Assembly, Matrix, Stack
from signalbox_guards.canonical import canonical
from signalbox_guards.changes import Change, Kind, weaker
from signalbox_guards.errors import BadInput
from signalbox_guards.intrinsics import references
from signalbox_guards.states import ABSENT_STATE, State, States

_LONGEST = 120  # characters of a value that are shown


def _shown(value: Any) -> str:
    text = "nothing" if value is None else canonical(value).decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


class _Comparison:
    def __init__(self, configuration: str, old: Assembly, new: Assembly, register: Acceptances) -> None:
        self._configuration = configuration
        self._old, self._new = States(old), States(new)
        self._register = register
        self._verdicts: dict[str, tuple[Kind | None, tuple[str, ...]]] = {}

    def changes(self) -> Iterator[Change]:
        for before, after in self._stacks():
            yield from self._termination_protection(before, after)
        for address, before in self._old.all.items():
            after = self._new.all.get(address)
            if after is None:
                yield self._gone(before)
                continue
            kind, causes = self._verdict(address)
            if kind:
                yield self._change(before, kind, causes, self._new.digest(address))
            yield from self._protections(before, after)

    def _stacks(self) -> Iterator[tuple[Stack, Stack]]:
        for name, stack in self._old.assembly.stacks.items():
            if name in self._new.assembly.stacks:
                yield stack, self._new.assembly.stacks[name]

    def _change(self, state: State, kind: Kind, causes: tuple[str, ...], becomes: str) -> Change:
        return Change(
            configuration=self._configuration,
            stack=state.stack,
            logical_id=state.logical_id,
            type=state.type,
            kind=kind,
            causes=causes,
            becomes=becomes,
            guarded=state.guarded is not None,
            accepted=self._register.reason(state.address, becomes),
        )

    def _gone(self, before: State) -> Change:
        kept = f"DeletionPolicy {before.deletion_policy}"
        new = [state for address, state in self._new.all.items() if address not in self._old.all]
        same_type = [state for state in new if state.type == before.type]
        moved = [state for state in same_type if state.logical_id == before.logical_id]
        renamed = [state for state in same_type if state.stack == before.stack and state.values == before.values]
        if moved:
            causes = (f"now in stack {moved[0].stack}: made anew there, and deleted here ({kept})",)
            return self._change(before, Kind.MOVED, causes, ABSENT_STATE)
        if renamed:
            causes = (f"its logical id is now {renamed[0].logical_id}: a new resource, and this one deleted ({kept})",)
            return self._change(before, Kind.RENAMED, causes, ABSENT_STATE)
        return self._change(before, Kind.REMOVED, (f"in no stack any more ({kept})",), ABSENT_STATE)

    def _verdict(self, address: str) -> tuple[Kind | None, tuple[str, ...]]:
        """Whether the resource, present in both, becomes another one; and why."""
        if address not in self._verdicts:
            self._verdicts[address] = (None, ())  # a circle of references replaces nothing by itself
            self._verdicts[address] = self._judge(self._old.all[address], self._new.all[address])
        return self._verdicts[address]

    def _judge(self, before: State, after: State) -> tuple[Kind | None, tuple[str, ...]]:
        if before.type != after.type:
            return Kind.TYPE, (f"Type: was {before.type}, becomes {after.type}",)
        always: list[str] = []
        conditional: list[str] = []
        for path in sorted({*before.values, *after.values}):
            certain = path in before.always or path in after.always
            was, becomes = before.values.get(path), after.values.get(path)
            if canonical(was) != canonical(becomes):
                word = "create-only" if certain else "conditionally create-only"
                cause = f"{path or 'properties'} ({word}): was {_shown(was)}, becomes {_shown(becomes)}"
                (always if certain else conditional).append(cause)
                continue
            for target in sorted(set(references(was))):
                if target == before.address or target not in self._old.all or target not in self._new.all:
                    continue
                kind, _ = self._verdict(target)
                if kind:
                    cause = f"{path}: refers to {target}: {kind}"
                    (always if certain and kind != Kind.MAY_REPLACE else conditional).append(cause)
        if always:
            return Kind.REPLACED, (*always, *conditional)
        return (Kind.MAY_REPLACE, tuple(conditional)) if conditional else (None, ())

    def _termination_protection(self, before: Stack, after: Stack) -> Iterator[Change]:
        if before.termination_protection and not after.termination_protection:
            address = f"{before.name}/TerminationProtection"
            yield Change(
                configuration=self._configuration,
                stack=before.name,
                logical_id="TerminationProtection",
                type="AWS::CloudFormation::Stack",
                kind=Kind.UNPROTECTED,
                causes=("TerminationProtection: was true, becomes false",),
                becomes="TerminationProtection=false",
                guarded=True,
                accepted=self._register.reason(address, "TerminationProtection=false"),
            )

    def _protections(self, before: State, after: State) -> Iterator[Change]:
        for name, was, becomes in (
            ("DeletionPolicy", before.deletion_policy, after.deletion_policy),
            ("UpdateReplacePolicy", before.update_replace_policy, after.update_replace_policy),
        ):
            if weaker(was, becomes):
                causes = (f"{name}: was {was}, becomes {becomes}",)
                yield self._change(before, Kind.UNPROTECTED, causes, f"{name}={becomes}")
        if before.deletion_protected and not after.deletion_protected:
            causes = ("DeletionProtection: was on, becomes off",)
            yield self._change(before, Kind.UNPROTECTED, causes, "DeletionProtection=false")


def compare(old: Matrix, new: Matrix, register: Acceptances) -> list[Change]:
    """Every replacement, deletion and lost protection, stack by stack, in each configuration of OLD.

    Two single assemblies are compared whatever their folders are called. Raises BadInput when a configuration of OLD
    is not in NEW: what became of it cannot be told.
    """
    if len(old) == len(new) == 1:
        (name, before), (after,) = next(iter(old.items())), new.values()
        return list(_Comparison(name, before, after, register).changes())
    gone = sorted(set(old) - set(new))
    if gone:
        raise BadInput(f"configurations {gone} are in the old release only: wanted all of it, got {sorted(new)}")
    return [change for name in old for change in _Comparison(name, old[name], new[name], register).changes()]
