"""Retention: ended runs past their policy go, with an audit row; what is held, young or alive stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from signalbox.control import retention
from signalbox.errors import NotFound
from signalbox.ids import ROOT_ACTION, RunKey
from signalbox.op import RECONCILER, Op
from signalbox.rules.phases import Phase
from signalbox.store import audit, cache
from signalbox.store.cache import CacheKey, NewEntry
from signalbox.store.retention import Hold, Policy
from support.engine import NOW, RUN, USER_ERROR, Engine, new_action, report

DAY = timedelta(days=1)
SECOND = RUN._replace(run="r2")


async def ended(
    engine: Engine, run: RunKey = RUN, phase: Phase = Phase.SUCCEEDED, *, ago: timedelta = DAY * 10
) -> None:
    """A run with two children that ended so long ago."""
    if run != RUN:
        await engine.begin(run)
    await engine.enqueue(new_action("c1", run=run), new_action("c2", run=run))
    granted = [g for g in (await engine.lease()).values() if g.run == run.run]
    error = USER_ERROR if phase is Phase.FAILED else None
    await engine.report(*(report(g, Phase.SUCCEEDED) for g in granted if g.action != ROOT_ACTION))
    await engine.report(*(report(g, phase, error=error) for g in granted if g.action == ROOT_ACTION))
    async with engine.db.transaction() as tx:
        await tx.execute(
            "UPDATE run SET ended_at = clock_timestamp() - %(ago)s WHERE name = %(run)s", {"ago": ago, "run": run.run}
        )


async def policy(engine: Engine, days: int, outcome: str = "any", project: str = "") -> None:
    await retention.set_policy(engine.user, Policy("local", project, outcome, DAY * days))


async def delete(engine: Engine) -> int:
    return await retention.delete_expired(Op(who=RECONCILER, now=NOW, request_id="t", db=engine.db), limit=100)


async def left(engine: Engine) -> list[str]:
    async with engine.db.autocommit() as tx:
        return [row[0] for row in await (await tx.execute("SELECT name FROM run ORDER BY name")).fetchall()]


async def test_without_a_policy_nothing_is_ever_deleted(engine: Engine) -> None:
    await ended(engine, ago=DAY * 10_000)

    assert await delete(engine) == 0
    assert await left(engine) == ["r1"]


async def test_nothing_of_a_deleted_run_is_left_but_its_audit_row(engine: Engine) -> None:
    await ended(engine)
    await policy(engine, 5)

    assert await delete(engine) == 1

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            """
            SELECT table_name FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = 'run' AND table_name NOT IN ('legal_hold')"""
        )
        tables = {row[0] for row in await cursor.fetchall()}
        assert {"action", "attempt", "event", "work", "outbox", "cluster_event"} <= tables
        for table in sorted(tables):
            rows = await (await tx.execute(f'SELECT count(*) FROM "{table}"')).fetchone()  # pyright: ignore  # noqa: S608,PGH003
            assert rows == (0,), table
        cursor = await tx.execute("SELECT principal, resource FROM audit WHERE operation = 'run.delete'")
        assert await cursor.fetchall() == [
            ("internal:reconcile", "local/flytesnacks/development/r1 succeeded policy */any/5d")
        ]


async def test_young_runs_and_running_ones_stay(engine: Engine) -> None:
    await ended(engine, ago=DAY * 4)
    await engine.begin(SECOND)
    await policy(engine, 5)

    assert await delete(engine) == 0
    assert await left(engine) == ["r1", "r2"]


async def test_the_most_specific_policy_counts(engine: Engine) -> None:
    await ended(engine)
    await ended(engine, SECOND, Phase.FAILED)
    await policy(engine, 5)
    await policy(engine, 100, "failed")

    assert await delete(engine) == 1
    assert await left(engine) == ["r2"]
    await policy(engine, 2, "any", "flytesnacks")
    assert await delete(engine) == 1


@pytest.mark.parametrize("whole_project", [True, False])
async def test_what_is_held_is_never_deleted_until_it_is_released(engine: Engine, whole_project: bool) -> None:
    await ended(engine)
    await policy(engine, 5)
    place = ("local", "flytesnacks", "", "") if whole_project else RUN
    await retention.hold(engine.user, Hold(*place, "a case", "operator"))

    assert await delete(engine) == 0
    await retention.release(engine.user, *place)

    assert await delete(engine) == 1


async def test_a_preview_says_what_would_go_and_changes_nothing(engine: Engine) -> None:
    await ended(engine)
    await policy(engine, 5)

    (found,) = await retention.preview(engine.user, "local")

    assert (found.project, found.outcome, found.runs) == ("flytesnacks", "succeeded", 1)
    assert await left(engine) == ["r1"]


async def test_holding_or_releasing_what_is_not_there_says_so(engine: Engine) -> None:
    with pytest.raises(NotFound, match="r9: not found"):
        await retention.hold(engine.user, Hold(*RUN._replace(run="r9"), "a case", "operator"))
    with pytest.raises(NotFound, match="is not held"):
        await retention.release(engine.user, *RUN)


async def test_months_of_the_audit_trail_are_made_ahead_and_dropped_whole(engine: Engine) -> None:
    op = Op(who=RECONCILER, now=NOW, request_id="t", db=engine.db)
    assert await retention.keep_audit(op, keep=DAY * 400) == 0
    async with engine.db.transaction() as tx:
        await tx.execute(
            "CREATE TABLE audit_2020_01 PARTITION OF audit FOR VALUES FROM ('2020-01-01 UTC') TO ('2020-02-01 UTC')"
        )
        await tx.execute(
            "INSERT INTO audit (org, at, principal, operation, resource, outcome, request_id)"
            " VALUES ('local', '2020-01-15', 'p', 'o', 'r', 'done', '')"
        )
        await audit.append(tx, audit.Entry("local", "p", "young", "r", ""))

    assert await retention.keep_audit(op, keep=DAY * 400) == 1

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM audit WHERE at < '2021-01-01'")
        assert await cursor.fetchone() == (0,)
        cursor = await tx.execute("SELECT count(*) FROM audit WHERE operation IN ('young', 'audit.drop')")
        assert await cursor.fetchone() == (2,)
        cursor = await tx.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit'::regclass")
        assert await cursor.fetchone() == (3,), "the default one, and two months ahead"


async def test_two_processes_that_make_months_at_once_do_it_once(engine: Engine) -> None:
    op = Op(who=RECONCILER, now=NOW, request_id="t", db=engine.db)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(retention.keep_audit(op, keep=DAY * 400))

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit'::regclass")
        assert await cursor.fetchone() == (3,)


@pytest.mark.parametrize("change", ["hold", "unset"])
async def test_a_run_is_not_deleted_after_a_hold_of_its_project_was_acknowledged(engine: Engine, change: str) -> None:
    """The pass has found the run when the hold is placed; the run's own lock, which a deletion takes, is not free."""
    await ended(engine)
    await policy(engine, 5)
    other = await psycopg.AsyncConnection.connect(engine.db.conninfo)
    async with other, asyncio.TaskGroup() as group:
        await other.execute("SELECT 1 FROM run FOR UPDATE")
        deleting = group.create_task(delete(engine))
        await waits(engine, "FROM run r")
        if change == "hold":
            task = group.create_task(
                retention.hold(engine.user, Hold("local", "flytesnacks", "", "", "a case", "operator"))
            )
        else:
            task = group.create_task(retention.unset_policy(engine.user, "local", "", "any"))
        await waits(engine, "pg_advisory_xact_lock")
        assert not task.done(), "acknowledged while a deletion is under way"
        await other.rollback()

    assert deleting.result() == 1, "it went on first; the hold came after it"
    assert await left(engine) == []


async def test_what_was_found_and_then_held_stays(engine: Engine) -> None:
    await ended(engine)
    await policy(engine, 5)
    holder = await psycopg.AsyncConnection.connect(engine.db.conninfo)
    async with holder:
        await holder.execute("SELECT pg_advisory_xact_lock(hashtextextended('retention/local', 0))")
        await holder.execute(
            "INSERT INTO legal_hold (org, project, domain, run, reason, placed_by)"
            " VALUES ('local', 'flytesnacks', '', '', 'a case', 'operator')"
        )
        deleting = asyncio.create_task(delete(engine))
        await waits(engine, "pg_advisory_xact_lock_shared")
        await holder.commit()

    assert await deleting == 0
    assert await left(engine) == ["r1"]


async def test_a_run_of_more_rows_than_one_statement_deletes_goes_whole(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalbox.store.retention._AT_ONCE", 2)
    await ended(engine)
    await policy(engine, 5)

    assert await delete(engine) == 1

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT (SELECT count(*) FROM action), (SELECT count(*) FROM event)")
        assert await cursor.fetchone() == (0, 0)


async def test_cached_results_that_have_expired_are_deleted_and_others_stay(engine: Engine) -> None:
    def entry(key: str, max_age: timedelta | None) -> NewEntry:
        return NewEntry(CacheKey("local", "", key), "file:///x", "test", max_age, overwrite=False)

    async with engine.db.transaction() as tx:
        await cache.put(tx, [entry("kept", None), entry("old", -DAY), entry("older", -DAY * 2), entry("young", DAY)])
    op = Op(who=RECONCILER, now=NOW, request_id="t", db=engine.db)

    assert await retention.delete_expired_results(op, limit=1) == 1
    assert await retention.delete_expired_results(op, limit=10) == 1

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT key FROM cache_entry ORDER BY key")
        assert [row[0] for row in await cursor.fetchall()] == ["kept", "young"]


async def waits(engine: Engine, statement: str) -> None:
    """Until a session waits for a lock with this statement."""
    async with asyncio.timeout(5), engine.db.autocommit() as tx:
        while True:
            cursor = await tx.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND strpos(query, %(statement)s) > 0",
                {"statement": statement},
            )
            if await cursor.fetchone() != (0,):
                return
            await asyncio.sleep(0.01)
