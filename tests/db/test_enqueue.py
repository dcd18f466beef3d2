from __future__ import annotations

import asyncio

import pytest

from signalbox.errors import Conflict, NotFound
from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase
from support.engine import RUN, Engine, new_action, report


async def test_what_is_enqueued_waits_in_order_of_arrival(engine: Engine) -> None:
    assert await engine.enqueue(new_action("c2"), new_action("c1")) == [None, None]

    assert list(await engine.lease()) == ["a0", "c2", "c1"]


async def test_the_same_enqueued_twice_exists_once(engine: Engine) -> None:
    """B8: the open-source backend answers INTERNAL to a repeat, and the SDK then tries a hundred times."""
    assert await engine.enqueue(new_action("c1"), new_action("c1")) == [None, None]
    assert await engine.enqueue(new_action("c1")) == [None]

    assert list(await engine.lease()) == ["a0", "c1"]


async def test_a_repeat_after_the_end_changes_nothing(engine: Engine) -> None:
    await engine.enqueue(new_action("c1"))
    granted = await engine.lease()
    await engine.report(report(granted["c1"], Phase.SUCCEEDED))

    assert await engine.enqueue(new_action("c1")) == [None]
    assert await engine.phase("c1") is Phase.SUCCEEDED


async def test_a_bad_child_does_not_concern_its_neighbours(engine: Engine) -> None:
    unknown_run = new_action("c3", run=new_action("x").key.run_key._replace(run="r9"))

    verdicts = await engine.enqueue(new_action("c1"), new_action("c2", "nobody"), unknown_run)

    assert verdicts[0] is None
    assert isinstance(verdicts[1], NotFound)
    assert "nobody" in str(verdicts[1])
    assert isinstance(verdicts[2], NotFound)


async def test_nothing_is_enqueued_in_a_run_that_is_being_aborted(engine: Engine) -> None:
    """The SDK stops a parent on ABORTED; any other code would let it go on trying."""
    await engine.lease()
    await engine.abort()

    (verdict,) = await engine.enqueue(new_action("c1"))

    assert isinstance(verdict, Conflict)
    assert verdict.code == "aborted"


@pytest.mark.parametrize("known", [True, False])
async def test_a_repeat_in_a_run_that_is_being_aborted_is_told_so(engine: Engine, known: bool) -> None:
    """The parent must stop: a success would let it go on to its next child."""
    await engine.lease()
    await engine.enqueue(new_action("c1"))
    await engine.abort()

    (verdict,) = await (engine.enqueue if known else engine.enqueue_anew)(new_action("c1"))

    assert isinstance(verdict, Conflict)
    assert verdict.code == "aborted"


@pytest.mark.parametrize("known", [True, False])
async def test_nothing_is_enqueued_below_an_action_that_is_to_be_aborted(engine: Engine, known: bool) -> None:
    await engine.lease()
    await engine.enqueue(new_action("p"))
    await engine.enqueue(new_action("c1", "p"))
    granted = await engine.lease()
    await engine.report(*(report(g, Phase.RUNNING) for g in granted.values()))
    await engine.enqueue(new_action("d1", "c1"))
    await engine.abort(ActionKey(*RUN, "p"))
    enqueue = engine.enqueue if known else engine.enqueue_anew

    (refused,) = await enqueue(new_action("c2", "p"))
    (below,) = await enqueue(new_action("d2", "c1"))
    (beside,) = await enqueue(new_action("c3"))
    (again,) = await enqueue(new_action("c1", "p"))

    assert str(refused) == "parent_action_name: 'p' is being aborted"
    assert isinstance(refused, Conflict)
    assert isinstance(below, Conflict)
    assert beside is None
    assert again is None, "a repeat of what was accepted is a success"
    assert set(await engine.lease()) == {"c3"}


async def test_nothing_is_enqueued_below_a_parent_that_is_over(engine: Engine) -> None:
    granted = await engine.lease()
    await engine.report(report(granted["a0"], Phase.SUCCEEDED))

    (verdict,) = await engine.enqueue(new_action("c1"))

    assert isinstance(verdict, Conflict)


async def test_two_replicas_that_enqueue_at_once_make_each_child_once(engine: Engine) -> None:
    batches = [[new_action(f"c{i}") for i in range(n, 60 + n)] for n in (0, 20, 40)]

    async with asyncio.TaskGroup() as group:
        for batch in batches:
            group.create_task(engine.enqueue(*batch))

    assert len(await engine.lease()) == 101 - 1
    assert len(await engine.lease()) == 1
