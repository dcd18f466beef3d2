"""Retention: ended runs past their policy go, with an audit row; what is held, young or alive stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signalbox.control import retention
from signalbox.errors import NotFound
from signalbox.ids import ROOT_ACTION, RunKey
from signalbox.op import RECONCILER, Op
from signalbox.rules.phases import Phase
from signalbox.store import audit
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
