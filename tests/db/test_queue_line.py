"""The line that says how much waits: right numbers, and one of them a period, whoever logs it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from signalbox.reconcile import driver
from signalbox.settings import Settings
from support.engine import Engine, new_action

MINUTELY = Settings()


async def lines(engine: Engine, *, times: int = 1, settings: Settings = MINUTELY) -> list[dict[str, Any]]:
    with capture_logs() as logs:
        for _ in range(times):
            assert await driver.one_pass(driver.QUEUE_LINE, engine.db, engine.hub, settings) == 0
    return [dict(log) for log in logs]


async def test_it_counts_what_waits_and_what_runs(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(new_action("c1"), new_action("c2"), new_action("c3"))
    async with engine.db.autocommit() as tx:
        await tx.execute("UPDATE work SET since = clock_timestamp() - interval '90 s' WHERE action = 'c2'")

    (line,) = await lines(engine)

    assert (line["event"], line["queued"], line["running"]) == ("queue", 3, 0), "a parent waits for its children"
    assert 90 <= line["oldest_s"] < 120

    await engine.lease()
    async with engine.db.autocommit() as tx:
        await tx.execute("DELETE FROM duty")
    (line,) = await lines(engine)
    assert (line["queued"], line["oldest_s"], line["running"]) == (0, 0, 3)


async def test_of_many_reconcilers_one_logs_it_a_period(engine: Engine) -> None:
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(driver.one_pass(driver.QUEUE_LINE, engine.db, engine.hub, MINUTELY))
    assert len(logs) == 1

    assert await lines(engine, times=3) == []
    async with engine.db.autocommit() as tx:
        await tx.execute("UPDATE duty SET done_at = clock_timestamp() - interval '60 s'")
    assert len(await lines(engine, times=3)) == 1


async def test_the_period_is_a_setting(engine: Engine) -> None:
    every_second = Settings(queue_log_every=timedelta(seconds=1))
    assert len(await lines(engine, settings=every_second)) == 1
    await asyncio.sleep(1)
    assert len(await lines(engine, settings=every_second)) == 1
