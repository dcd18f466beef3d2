from __future__ import annotations

import asyncio

from signalbox.rules.phases import Phase, Verdict
from support.engine import USER_ERROR, Engine, new_action, report


async def test_a_batch_may_hold_a_whole_life(engine: Engine) -> None:
    granted = (await engine.lease())["a0"]

    verdicts = await engine.report(
        report(granted, Phase.RUNNING), report(granted, Phase.RUNNING), report(granted, Phase.SUCCEEDED)
    )

    assert verdicts == [Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.ACCEPTED]
    state = await engine.state("a0")
    assert state.phase is Phase.SUCCEEDED
    assert state.started_at is not None


async def test_a_second_different_result_is_refused_and_put_on_record(engine: Engine) -> None:
    granted = (await engine.lease())["a0"]
    await engine.report(report(granted, Phase.SUCCEEDED))

    assert await engine.report(report(granted, Phase.FAILED)) == [Verdict.TERMINAL_ALREADY]
    assert await engine.report(report(granted, Phase.SUCCEEDED)) == [Verdict.DUPLICATE]

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT phase FROM event WHERE kind = 'conflict' ORDER BY revision")
        assert await cursor.fetchall() == [("failed",)]
    assert await engine.phase("a0") is Phase.SUCCEEDED


async def test_a_recoverable_failure_is_tried_again_in_a_new_attempt(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=1))
    first = (await engine.lease())["c1"]

    await engine.report(report(first, Phase.FAILED, error=USER_ERROR, recoverable=True))
    second = (await engine.lease())["c1"]
    await engine.report(report(second, Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert second.attempt == 2
    assert second.epoch > first.epoch
    assert await engine.phase("c1") is Phase.FAILED
    assert await engine.lease() == {}
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT attempt, phase, error FROM attempt ORDER BY attempt")
        assert await cursor.fetchall() == [(1, "failed", USER_ERROR)]


async def test_what_lives_below_a_parent_that_ended_is_aborted(engine: Engine) -> None:
    """G20: the SDK leaves children alone that nobody waits for."""
    root = (await engine.lease())["a0"]
    await engine.enqueue(new_action("c1"))
    running = (await engine.lease())["c1"]
    await engine.report(report(running, Phase.RUNNING))
    await engine.enqueue(new_action("c2"), new_action("d1", "c1"))

    await engine.report(report(root, Phase.SUCCEEDED))

    assert await engine.phase("c2") is Phase.ABORTED
    assert await engine.phase("d1") is Phase.ABORTED
    assert await engine.phase("c1") is Phase.RUNNING, "its cluster has not confirmed yet"
    assert await engine.report(report(running, Phase.ABORTED)) == [Verdict.ACCEPTED]


async def test_two_replicas_that_report_at_once_do_not_lose_or_double_anything(engine: Engine) -> None:
    await engine.enqueue(*(new_action(f"c{i}") for i in range(80)))
    granted = await engine.lease()
    reports = [report(g, Phase.SUCCEEDED) for name, g in granted.items() if name != "a0"]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.report(*reports)) for _ in range(4)]

    verdicts = [verdict for task in tasks for verdict in task.result()]
    assert verdicts.count(Verdict.ACCEPTED) == 80
    assert verdicts.count(Verdict.DUPLICATE) == 240
