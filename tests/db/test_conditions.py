"""Conditions: they wait for a person, are answered once, and time out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flyteidl2.core import literals_pb2

from signalbox.control import conditions
from signalbox.errors import NotFound, Precondition
from signalbox.ids import ROOT_ACTION
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store import children
from signalbox.store.actions import Kind
from signalbox.store.new_actions import NewAction
from support.engine import ROOT, Engine, new_action, report

YES = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=True)))
VALUE = YES.SerializeToString()
MINUTE = timedelta(minutes=1)


def a_condition(name: str = "q1") -> NewAction:
    return new_action(name)._replace(
        kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON, spec_digest=None, deadline_after=MINUTE
    )


async def test_a_condition_is_given_to_no_cluster_and_waits(engine: Engine) -> None:
    await engine.enqueue(a_condition())

    assert set(await engine.lease()) == {ROOT_ACTION}
    assert await engine.phase("q1") is Phase.PAUSED


async def test_a_signal_ends_the_condition_and_its_parent_reads_the_value(engine: Engine) -> None:
    await engine.enqueue(a_condition())

    await conditions.signal(engine.user, engine.hub, a_condition().key, parent=ROOT_ACTION, value=VALUE)

    async with engine.db.autocommit() as tx:
        look = await children.snapshot(tx, ROOT)
    assert look is not None
    (child,) = look.children
    assert (child.phase, child.value) == (Phase.SUCCEEDED, VALUE)


async def test_a_condition_is_answered_once(engine: Engine) -> None:
    await engine.enqueue(a_condition())
    await conditions.signal(engine.user, engine.hub, a_condition().key, parent="", value=VALUE)

    with pytest.raises(Precondition, match="waits for no signal any more, it is succeeded"):
        await conditions.signal(engine.user, engine.hub, a_condition().key, parent="", value=VALUE)


async def test_a_condition_below_another_parent_is_not_found(engine: Engine) -> None:
    await engine.enqueue(a_condition())

    with pytest.raises(NotFound):
        await conditions.signal(engine.user, engine.hub, a_condition().key, parent="other", value=VALUE)
    assert await engine.phase("q1") is Phase.PAUSED


async def test_a_condition_that_nobody_answers_times_out(engine: Engine) -> None:
    await engine.enqueue(a_condition())
    await engine.age(MINUTE)

    await engine.look()

    assert await engine.phase("q1") is Phase.TIMED_OUT
    with pytest.raises(Precondition):
        await conditions.signal(engine.user, engine.hub, a_condition().key, parent="", value=VALUE)


async def test_a_condition_is_aborted_with_its_run(engine: Engine) -> None:
    await engine.enqueue(a_condition())

    await engine.abort()

    assert await engine.phase("q1") is Phase.ABORTED


async def test_a_condition_that_nobody_answered_ends_with_its_parent(engine: Engine) -> None:
    root = (await engine.lease())[ROOT_ACTION]
    await engine.enqueue(a_condition())

    await engine.report(report(root, Phase.SUCCEEDED))

    assert await engine.phase("q1") is Phase.ABORTED
