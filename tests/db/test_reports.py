from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from signalbox.rules.phases import Phase, Verdict
from signalbox.store import children
from support.engine import ROOT, USER_ERROR, Engine, new_action, report


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


async def test_errors_of_the_platform_are_counted_apart_from_those_of_the_task(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=1)._replace(backoff_base=timedelta(minutes=5)))
    for _ in range(2):
        granted = (await engine.lease())["c1"]
        await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, error_system=True, recoverable=True))
    state = await engine.state("c1")
    assert (state.attempt, state.user_failures, state.system_failures) == (3, 0, 2)

    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))
    state = await engine.state("c1")
    assert (state.attempt, state.user_failures, state.system_failures) == (4, 1, 2)
    assert await engine.lease() == {}, "that of the task waits for its backoff; the others did not"
    await engine.age(timedelta(minutes=5))
    await engine.look()
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, error_system=True, recoverable=True))

    state = await engine.state("c1")
    assert (state.phase, state.attempt, state.user_failures, state.system_failures) == (Phase.FAILED, 4, 1, 2)


@pytest.mark.parametrize("recoverable", [True, False])
async def test_a_parent_reads_whether_its_childs_failure_could_be_recovered(engine: Engine, recoverable: bool) -> None:
    await engine.enqueue(new_action("c1", retries=1))
    for _ in range(2 if recoverable else 1):
        granted = (await engine.lease())["c1"]
        await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=recoverable))

    async with engine.db.autocommit() as tx:
        look = await children.snapshot(tx, ROOT)
        cursor = await tx.execute("SELECT error_recoverable FROM attempt WHERE action = 'c1'")
        past = await cursor.fetchall()
    assert look is not None
    (child,) = look.children
    assert (child.phase, child.error, child.error_recoverable) == (Phase.FAILED, USER_ERROR, recoverable)
    assert past == ([(True,)] if recoverable else [])


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


FAR = datetime(9000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED])
@pytest.mark.parametrize("name", ["a0", "c1"])
async def test_a_cluster_whose_clock_is_ahead_reports_nothing_of_the_future(
    engine: Engine, name: str, phase: Phase
) -> None:
    await engine.enqueue(new_action("c1"))
    granted = (await engine.lease())[name]

    assert await engine.report(report(granted, phase, at=FAR, started_at=FAR)) == [Verdict.ACCEPTED]

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            """
            SELECT started_at <= clock_timestamp(), ended_at <= clock_timestamp(),
                   (SELECT bool_and(occurred_at <= clock_timestamp()) FROM event)
              FROM action WHERE name = %(name)s""",
            {"name": name},
        )
        assert await cursor.fetchone() == (True, None if phase is Phase.RUNNING else True, True)


@pytest.mark.parametrize("at", [FAR, datetime(1990, 1, 1, tzinfo=UTC)])
async def test_the_clock_of_a_cluster_is_nobody_elses(engine: Engine, at: datetime) -> None:
    await engine.lease()
    await engine.enqueue(new_action("p"), new_action("again", retries=1))
    granted = await engine.lease()
    await engine.report(*(report(g, Phase.RUNNING) for g in granted.values()))
    await engine.enqueue(new_action("c1", "p"))

    await engine.report(
        report(granted["p"], Phase.FAILED, error=USER_ERROR, at=at),
        report(granted["again"], Phase.FAILED, error=USER_ERROR, recoverable=True, at=at),
    )

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            """
            SELECT name FROM action
             WHERE name IN ('c1', 'again')
               AND coalesce(ended_at, queued_at) BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp()
             ORDER BY name"""
        )
        assert await cursor.fetchall() == [("again",), ("c1",)]


async def test_two_replicas_that_report_at_once_do_not_lose_or_double_anything(engine: Engine) -> None:
    await engine.enqueue(*(new_action(f"c{i}") for i in range(80)))
    granted = await engine.lease()
    reports = [report(g, Phase.SUCCEEDED) for name, g in granted.items() if name != "a0"]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.report(*reports)) for _ in range(4)]

    verdicts = [verdict for task in tasks for verdict in task.result()]
    assert verdicts.count(Verdict.ACCEPTED) == 80
    assert verdicts.count(Verdict.DUPLICATE) == 240
