"""Conditions: actions that wait for a person, and what they are answered with."""

from __future__ import annotations

from signalbox.control.actions import cascade, publish
from signalbox.control.hub import Hub
from signalbox.control.journal import Journal
from signalbox.errors import Invalid, NotFound, Precondition
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules.phases import Phase
from signalbox.rules.roles import Permission
from signalbox.store import actions, audit, runs
from signalbox.store.actions import Kind


async def definition(op: Op, key: ActionKey) -> bytes:
    """Serialized ConditionAction. Raises NotFound, or Invalid when the action is none."""
    op.require(Permission.RUN_READ)
    async with op.db.autocommit() as tx:
        states = await actions.states(tx, [key])
        if key not in states:
            raise NotFound(f"action {key}: not found")
        if states[key].kind is not Kind.CONDITION:
            raise Invalid(f"action {key}: a {states[key].kind} waits for no signal")
        found = await actions.definition(tx, key)
    return found or b""


async def signal(op: Op, hub: Hub, key: ActionKey, *, parent: str, value: bytes) -> None:
    """Answer a condition, once, with a serialized Literal of its type. Raises NotFound, Precondition."""
    op.require(Permission.RUN_SIGNAL)
    async with op.transaction() as tx:
        locked = await runs.lock(tx, [key.run_key])
        journal = Journal(locked, now=op.now)
        await journal.load(tx, [key])
        state = journal.state(key)
        if state is None or (parent and state.parent != parent):
            raise NotFound(f"action {key}: not found" + (f" below {parent}" if parent else ""))
        if state.phase is not Phase.PAUSED:
            raise Precondition(f"action {key}: waits for no signal any more, it is {state.phase}")
        await actions.signal(tx, key, value=value, by=str(op.who))
        journal.move(state, Phase.SUCCEEDED, epoch=state.epoch, at=op.now)
        await cascade(tx, journal)
        await audit.append(tx, audit.Entry(key.org, str(op.who), "action.signal", str(key), op.request_id))
    publish(hub, journal)
