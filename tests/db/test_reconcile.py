"""The reconcilers' loops: what fails comes again, what is full goes on at once, a deletion holds no repair up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from signalbox.control.hub import Hub
from signalbox.errors import Unavailable
from signalbox.op import Op
from signalbox.reconcile import driver, silent_clusters
from signalbox.reconcile.driver import Task
from signalbox.settings import Settings
from signalbox.store.db import Database
from support.engine import Engine, new_action

SLOW = Settings(reconcile_every=timedelta(hours=1), retention_every=timedelta(hours=1))


def task(outcomes: list[int | Exception], calls: list[str], name: str = "one") -> Task:
    """A pass that gives these, one after the other, and then nothing more to do."""

    async def run(op: Op, hub: Hub, settings: Settings) -> int:
        del op, hub, settings
        calls.append(name)
        outcome = outcomes.pop(0) if outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Task(name, 10, run)


async def until(met: Callable[[], bool], loop: Coroutine[Any, Any, None]) -> None:
    """Run the loop until the condition is met."""
    running = asyncio.create_task(loop)
    try:
        async with asyncio.timeout(5):
            while not met():  # noqa: ASYNC110  # the loop under test tells nobody
                await asyncio.sleep(0.01)
        assert not running.done()
    finally:
        running.cancel()


async def test_after_a_full_pass_repairs_go_on_at_once_and_in_turns(engine: Engine) -> None:
    calls: list[str] = []
    tasks = [task([10, 10, 3], calls, "one"), task([], calls, "other")]

    await until(lambda: len(calls) == 6, driver.repair(tasks, engine.db, engine.hub, SLOW))

    assert calls == ["one", "other"] * 3


async def test_a_pass_that_fails_for_whatever_reason_ends_nothing(engine: Engine) -> None:
    calls: list[str] = []
    tasks = [task([Unavailable("down"), 10, ZeroDivisionError(), 10], calls, "one"), task([10, 10, 10], calls, "other")]

    await until(lambda: len(calls) >= 8, driver.repair(tasks, engine.db, engine.hub, SLOW))


async def test_deletion_goes_on_while_its_pass_is_full(engine: Engine) -> None:
    calls: list[str] = []

    await until(
        lambda: len(calls) == 3,
        driver.rarely(task([10, 12], calls), engine.db, engine.hub, SLOW, every=SLOW.retention_every),
    )


async def test_a_deletion_that_takes_long_holds_no_repair_up(db: Database, engine: Engine, monkeypatch: Any) -> None:
    calls: list[str] = []
    never = asyncio.Event()

    async def long(op: Op, hub: Hub, settings: Settings) -> int:
        del op, hub, settings
        await never.wait()
        return 0

    monkeypatch.setattr(driver, "CLEANING", Task("long", 1, long))
    monkeypatch.setattr(driver, "REPAIRS", (task([10, 10], calls),))

    await until(lambda: len(calls) == 3, driver.run(db, engine.hub, SLOW))


async def test_many_lost_grants_are_taken_back_within_one_period(engine: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr(silent_clusters, "FULL", 10)
    await engine.enqueue(*(new_action(f"c{i}") for i in range(50)))
    assert len(await engine.lease()) == 51
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE cluster SET last_seen_at = last_seen_at - interval '1 hour'")
    taken = Task("silent_clusters", 10, silent_clusters.run)

    async def held() -> int:
        async with engine.db.autocommit() as tx:
            cursor = await tx.execute("SELECT count(*) FROM work WHERE cluster IS NOT NULL")
            row = await cursor.fetchone()
            return row[0] if row else 0

    running = asyncio.create_task(driver.repair([taken], engine.db, engine.hub, SLOW))
    try:
        async with asyncio.timeout(10):
            await _until_none(held)
    finally:
        running.cancel()


async def _until_none(count: Callable[[], Awaitable[int]]) -> None:
    while await count():  # noqa: ASYNC110  # the loop under test tells nobody
        await asyncio.sleep(0.05)
