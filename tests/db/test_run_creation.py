"""A run begins whole, once, and only where its queue lets it."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import psycopg.sql
import pytest

from signalbox.control import queues
from signalbox.errors import AlreadyExists, Exhausted, Invalid, Precondition, SignalboxError, Unavailable
from signalbox.ids import ROOT_ACTION, RunKey
from signalbox.rules.phases import Phase
from signalbox.store.queues import Queue, QueueState
from support.engine import Engine, new_action, report


async def configure(engine: Engine, name: str, **limits: object) -> None:
    await queues.configure(engine.user, Queue(org="local", name=name, **limits))  # pyright: ignore[reportArgumentType]  # of a test


async def names(engine: Engine) -> set[str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT name FROM run WHERE name <> 'r1'")
        return {row[0] for row in await cursor.fetchall()}


@pytest.mark.parametrize("table", ["action", "work", "event", "audit"])
async def test_b1_a_run_and_all_that_begins_it_are_one_transaction(engine: Engine, table: str) -> None:
    """B1: a run is stored, then enqueued over RPC; when that fails it stays QUEUED for ever."""
    await engine.create("r2")
    before = await counts(engine)
    with psycopg.connect(engine.db.conninfo, autocommit=True) as connection:
        connection.execute(
            """
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN RAISE ''no space'' USING ERRCODE = ''disk_full''; END'"""
        )
        statement = "CREATE TRIGGER fail BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION fail()"
        connection.execute(psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(table)))

    with pytest.raises(Unavailable) as refused:
        await engine.create("r3")

    assert refused.value.code == "unavailable", "the SDK tries again"
    assert await counts(engine) == before


async def counts(engine: Engine) -> list[tuple[str, int]]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            """
            SELECT 'run', count(*) FROM run UNION ALL SELECT 'action', count(*) FROM action
             UNION ALL SELECT 'work', count(*) FROM work UNION ALL SELECT 'event', count(*) FROM event
             UNION ALL SELECT 'audit', count(*) FROM audit"""
        )
        return [(name, count) for name, count in await cursor.fetchall()]


async def test_no_run_begins_in_a_queue_in_which_enough_waits(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "narrow", max_depth=2)
    await engine.create("r2", queue="narrow")
    await engine.enqueue(new_action("c1")._replace(queue="narrow"))

    with pytest.raises(Exhausted, match="queue narrow: full, 2 actions wait"):
        await engine.create("r3", queue="narrow")
    assert await names(engine) == {"r2"}
    assert await engine.enqueue(new_action("c2")._replace(queue="narrow")) == [None], "what goes on goes on"
    await engine.lease()

    await engine.create("r3", queue="narrow")
    assert await names(engine) == {"r2", "r3"}


async def test_runs_that_are_created_at_once_do_not_exceed_a_queues_depth(engine: Engine) -> None:
    await configure(engine, "narrow", max_depth=3)

    async def begin(number: int) -> RunKey | SignalboxError:
        try:
            return await engine.create(f"r{number}", queue="narrow")
        except Exhausted as e:
            return e

    await engine.create("r2", queue="narrow")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(begin(number)) for number in range(10, 18)]

    assert sum(isinstance(task.result(), Exhausted) for task in tasks) == 6
    assert len(await names(engine)) == 3


async def test_runs_of_a_queue_without_a_depth_do_not_wait_for_each_other(engine: Engine) -> None:
    await configure(engine, "wide", priority=1)
    async with engine.db.transaction() as tx:
        await tx.execute("SELECT 1 FROM queue FOR NO KEY UPDATE")

        async with asyncio.timeout(5):
            await engine.create("r2", queue="wide")


async def test_no_run_begins_in_a_queue_that_is_drained_and_what_is_in_it_goes_on(engine: Engine) -> None:
    await configure(engine, "old")
    run = await engine.create("r2", queue="old")
    await configure(engine, "old", state=QueueState.DRAINING)

    with pytest.raises(Precondition, match="queue old: is being drained"):
        await engine.create("r3", queue="old")

    assert await engine.enqueue(new_action("c1", run=run)) == [None]
    granted = {g.run: g for g in (await engine.lease()).values() if g.action == ROOT_ACTION}
    await engine.report(report(granted["r2"], Phase.SUCCEEDED))
    assert (await engine.state(ROOT_ACTION, run)).phase is Phase.SUCCEEDED
    assert await names(engine) == {"r2"}


async def test_a_run_that_exists_is_found_again_also_when_its_queue_is_full_or_drained(engine: Engine) -> None:
    again = str(uuid.uuid4())
    await configure(engine, "narrow", max_depth=1)
    first = await engine.create(None, request_id=again, queue="narrow")
    assert await engine.create(None, request_id=again, queue="narrow") == first

    await configure(engine, "narrow", state=QueueState.DRAINING)
    assert await engine.create(None, request_id=again, queue="narrow") == first


async def test_an_unknown_queue_begins_nothing(engine: Engine) -> None:
    with pytest.raises(Invalid, match="no queue 'nowhere' in org local"):
        await engine.create("r2", queue="nowhere")

    assert await names(engine) == set()


async def test_b10_the_same_request_sent_twice_begins_one_run_also_at_once(engine: Engine) -> None:
    """B10: generated names come from the clock, so that a repeat begins a second run."""
    again = str(uuid.uuid4())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(engine.create(None, request_id=again, request=b"the same")) for _ in range(4)]
    keys = {task.result() for task in tasks}

    assert len(keys) == 1
    assert await names(engine) == {key.run for key in keys}
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM audit WHERE operation = 'run.create'")
        assert await cursor.fetchone() == (1,)


async def test_b10_a_request_id_that_others_use_too_does_not_find_their_runs(engine: Engine) -> None:
    """B10: a collision answers with somebody else's run."""
    again = str(uuid.uuid4())
    mine = await engine.create(None, request_id=again, request=b"mine")
    other = await engine.create(None, request_id=again, request=b"other")
    short = [await engine.create(None, request_id="p-d-r-a-x1y2", request=b"the same") for _ in range(2)]

    assert len({mine, other, *short}) == 4
    await engine.create("named", request_id=again, request=b"mine")
    with pytest.raises(AlreadyExists):
        await engine.create("named", request_id=str(uuid.uuid4()), request=b"mine")
