"""A parent that begins anew finds its children as they are: none of them runs twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from signalbox.control import children
from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase, Verdict
from signalbox.store.children import Child
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction
from support.engine import RUN, USER_ERROR, Engine, held, new_action, report

URI = "file:///store/r1/over/1"
LONG = timedelta(seconds=30)


def offspring() -> list[NewAction]:
    return [new_action(name, "p") for name in ("over", "running", "queued")]


async def snapshot(engine: Engine) -> dict[str, Child]:
    watch = children.watch(engine.user, engine.hub, ActionKey(*RUN, "p"), progress_every=LONG)
    found: dict[str, Child] = {}
    while batch := await anext(watch):
        found |= {child.name: child for child in batch}
    return found


async def begun(engine: Engine) -> dict[str, Granted]:
    """A parent that runs, with a child that is over, one that runs and one that waits."""
    root = (await engine.lease())["a0"]
    await engine.enqueue(new_action("p", retries=1))
    granted = await engine.lease() | {"a0": root}
    await engine.report(*(report(g, Phase.RUNNING) for g in granted.values()))
    await engine.enqueue(*offspring()[:2])
    granted |= await engine.lease()
    await engine.report(
        report(granted["over"], Phase.RUNNING),
        report(granted["running"], Phase.RUNNING),
        report(granted["over"], Phase.SUCCEEDED, output_uri=URI),
    )
    await engine.enqueue(offspring()[2])
    return granted


async def fail(engine: Engine, granted: dict[str, Granted]) -> None:
    await engine.report(report(granted["p"], Phase.FAILED, error=USER_ERROR, recoverable=True))


async def lose(engine: Engine, granted: dict[str, Granted]) -> None:
    assert await engine.open_stream(held(granted["a0"]), held(granted["running"]), session="s2") == 1


@pytest.mark.parametrize("begin_anew", [fail, lose])
@pytest.mark.parametrize("known", [True, False])
async def test_the_children_of_a_parent_that_begins_anew_live_on_and_run_once(
    engine: Engine, begin_anew: Callable[[Engine, dict[str, Granted]], Awaitable[None]], known: bool
) -> None:
    granted = await begun(engine)

    await begin_anew(engine, granted)

    assert await engine.phase("p") is Phase.QUEUED
    again = await engine.lease()
    assert {name: g.attempt for name, g in again.items()} == {"p": 2, "queued": 1}
    await engine.report(report(again["p"], Phase.RUNNING), report(again["queued"], Phase.RUNNING))
    seen = await snapshot(engine)
    assert {name: child.phase for name, child in seen.items()} == {
        "over": Phase.SUCCEEDED,
        "running": Phase.RUNNING,
        "queued": Phase.RUNNING,
    }
    assert seen["over"].output_uri == URI
    assert await (engine.enqueue if known else engine.enqueue_anew)(*offspring()) == [None] * 3
    assert await engine.lease() == {}

    verdicts = await engine.report(
        report(granted["running"], Phase.SUCCEEDED), report(again["queued"], Phase.SUCCEEDED)
    )
    await engine.report(report(again["p"], Phase.SUCCEEDED))

    assert verdicts == [Verdict.ACCEPTED] * 2
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT action FROM event WHERE kind = 'phase' AND phase = 'running'")
        began = Counter(row[0] for row in await cursor.fetchall())
    assert began == {"a0": 1, "p": 2, "over": 1, "running": 1, "queued": 1}
