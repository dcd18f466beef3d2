"""Defects of Flyte 2's open-source backend that this product must not have, by the names under which they were found.

Each test's docstring says what the open-source backend does. B8, B10 and B15 are about answers on the wire: they are in
tests/api/test_open_source_defects.py. B1 and more of B10: in test_run_creation.py.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from signalbox.control import children, run_views, runs
from signalbox.control.hub import Hub, run_topic
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import silent_clusters
from signalbox.rules.phases import Phase, Verdict
from signalbox.settings import Settings
from signalbox.store import outbox
from signalbox.store.db import Database
from signalbox.store.run_views import ActionPosition, Conditions
from support.builders import a_run, actions_of, an_op, enter
from support.engine import CLUSTER, NOW, ROOT, RUN, USER_ERROR, Engine, new_action, report

LONG = timedelta(seconds=30)


async def test_b2_a_late_failure_does_not_undo_a_success(engine: Engine) -> None:
    """B2: phases are compared as numbers, and FAILED is above SUCCEEDED."""
    granted = (await engine.lease())[ROOT_ACTION]
    await engine.report(report(granted, Phase.SUCCEEDED))

    assert await engine.report(report(granted, Phase.FAILED, error=USER_ERROR)) == [Verdict.TERMINAL_ALREADY]
    assert await engine.phase(ROOT_ACTION) is Phase.SUCCEEDED


@pytest.mark.parametrize("late", [Phase.RUNNING, Phase.INITIALIZING, Phase.SUCCEEDED, Phase.FAILED])
@pytest.mark.parametrize("end", [Phase.FAILED, Phase.TIMED_OUT])
async def test_b3_what_failed_or_timed_out_does_not_come_back_by_a_late_report(
    engine: Engine, end: Phase, late: Phase
) -> None:
    """B3: FAILED and TIMED_OUT accept any phase."""
    granted = (await engine.lease())[ROOT_ACTION]
    await engine.report(report(granted, end, error=USER_ERROR))

    await engine.report(report(granted, late))

    assert await engine.phase(ROOT_ACTION) is end


@pytest.mark.parametrize("late", [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED])
@pytest.mark.parametrize("again", ["waits", "runs", "over"])
async def test_b3_a_report_of_another_attempt_counts_for_nothing(engine: Engine, again: str, late: Phase) -> None:
    """B3: the number of the attempt is not compared."""
    await engine.enqueue(new_action("c1", retries=1))
    first = (await engine.lease())["c1"]
    await engine.report(report(first, Phase.FAILED, error=USER_ERROR, recoverable=True))
    if again != "waits":
        second = (await engine.lease())["c1"]
        await engine.report(report(second, Phase.RUNNING if again == "runs" else Phase.TIMED_OUT, error=USER_ERROR))
    before = await engine.state("c1")

    verdicts = await engine.report(
        report(first, late), report(first._replace(attempt=2), late), report(first._replace(attempt=3), late)
    )

    assert verdicts == [Verdict.STALE_EPOCH] * 3
    assert await engine.state("c1") == before


async def test_b3b_a_child_that_is_seen_late_does_not_resurrect_its_parent(engine: Engine) -> None:
    """B3b: the first sight of a child makes its parent RUNNING, also one that has failed."""
    granted = (await engine.lease())[ROOT_ACTION]
    await engine.enqueue(new_action("c1"))
    child = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR))

    (refused,) = await engine.enqueue(new_action("late"))
    verdicts = await engine.report(report(child, Phase.RUNNING), report(child, Phase.SUCCEEDED))

    assert "is over (failed)" in str(refused)
    assert verdicts == [Verdict.ACCEPTED, Verdict.ACCEPTED], "it ran until it was told to stop"
    assert await engine.phase(ROOT_ACTION) is Phase.FAILED


async def test_b4_an_abort_of_what_is_over_changes_nothing(engine: Engine) -> None:
    """B4: an abort has no guard, and rewrites SUCCEEDED as ABORTED."""
    await engine.report(report((await engine.lease())[ROOT_ACTION], Phase.SUCCEEDED))

    await runs.abort(engine.user, engine.hub, RUN, reason="late")
    await engine.abort()

    assert await engine.phase(ROOT_ACTION) is Phase.SUCCEEDED


async def test_b5_an_abort_is_told_until_it_is_confirmed_whoever_restarts(engine: Engine) -> None:
    """B5: aborts wait in the memory of a process, and are given up after ten attempts."""
    granted = (await engine.lease())[ROOT_ACTION]
    await engine.report(report(granted, Phase.RUNNING))
    await engine.abort()

    for _ in range(20):  # as many streams, processes and replicas as one likes
        async with Database(engine.db.conninfo, size=3) as another, another.autocommit() as tx:
            assert [a.action for a in await outbox.aborts(tx, CLUSTER, after=0)] == [ROOT_ACTION]
    assert await engine.phase(ROOT_ACTION) is Phase.RUNNING
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE cluster SET last_seen_at = clock_timestamp() - interval '1 hour'")
    op = Op(who=RECONCILER, now=NOW, request_id="t", db=engine.db)
    await silent_clusters.run(op, engine.hub, Settings())

    assert await engine.phase(ROOT_ACTION) is Phase.ABORTED, "the lease of a cluster that is gone has ended"


async def test_b6_watches_go_on_when_the_connection_that_listens_was_lost(engine: Engine) -> None:
    """B6: after a lost connection the listener ends silently, and no watch of the process hears anything again."""
    listening = Hub(engine.db.conninfo, stream_max_age=timedelta(minutes=10))
    exchange = asyncio.create_task(listening.run())
    try:
        with listening.subscribe(run_topic(RUN)) as subscription:
            async with engine.db.autocommit() as tx:
                for _ in range(2):
                    while True:  # until both of its connections are there to be cut
                        cursor = await tx.execute(
                            """
                            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                             WHERE datname = current_database() AND pid <> pg_backend_pid()
                               AND query LIKE 'LISTEN%'"""
                        )
                        if await cursor.fetchone() != (0,):
                            break
                        await asyncio.sleep(0.05)
                    assert await subscription.changed(within=timedelta(seconds=10)), "everyone looks again"
            other = Hub(engine.db.conninfo, stream_max_age=timedelta(minutes=10))
            telling = asyncio.create_task(other.run())
            async with asyncio.timeout(20):
                while not await subscription.changed(within=timedelta(seconds=0.5)):
                    other.publish([run_topic(RUN)])
            telling.cancel()
    finally:
        exchange.cancel()


async def test_b7_a_slow_parent_hears_of_every_child_however_many_change_meanwhile(engine: Engine) -> None:
    """B7: a subscriber's buffer of a hundred updates drops what does not fit, and the parent waits for ever."""
    names = [f"c{i}" for i in range(300)]
    watch = children.watch(engine.user, engine.hub, ROOT, progress_every=LONG)
    assert list(await anext(watch)) == []
    await engine.enqueue(*(new_action(name) for name in names))
    granted = [*(await engine.lease()).values(), *(await engine.lease()).values()]
    granted += [*(await engine.lease()).values(), *(await engine.lease()).values()]
    await engine.report(*(report(g, Phase.SUCCEEDED) for g in granted if g.action != ROOT_ACTION))

    over: set[str] = set()
    async with asyncio.timeout(10):
        while len(over) < len(names):
            over |= {child.name for child in await anext(watch) if child.phase is Phase.SUCCEEDED}

    assert over == set(names)


async def test_b9_nothing_fires_in_a_process_of_its_own(engine: Engine) -> None:
    """B9: cron is in the memory of every replica. Here what is timed is a row, and once counts."""
    await engine.enqueue(new_action("c1")._replace(queued_timeout=timedelta(minutes=1)))
    await engine.age(timedelta(minutes=1))

    await asyncio.gather(*(engine.look() for _ in range(5)))

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM event WHERE action = 'c1' AND phase = 'timed_out'")
        assert await cursor.fetchone() == (1,)


async def test_b12_the_newest_attempts_are_shown_however_many_there_were(db: Database) -> None:
    """B12: attempts are put together from the first 500 events, and the newest are missing."""
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        (key,) = await actions_of(tx, run, ["c1"])
        for _ in range(200):
            await enter(tx, key, Phase.RUNNING)
            await enter(tx, key, Phase.FAILED, retry=True)

    details = await run_views.details(an_op(db), key)

    assert [attempt.attempt for attempt in details.attempts] == list(range(1, 202))
    assert details.attempts[-1].phase is Phase.QUEUED
    assert len([e for e in details.history if e.attempt == 200]) == 3


async def test_b13_pages_skip_and_repeat_nothing_while_actions_come_and_change(db: Database) -> None:
    """B13: the sort key of a list is changed by reports, and pages are offsets."""
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, [f"c{i:02}" for i in range(30)])
    seen: list[str] = []
    after: ActionPosition | None = None
    number = 0
    while True:
        page = await run_views.list_actions(an_op(db), run, Conditions(), after=after, descending=False, limit=7)
        seen += [view.row.name for view in page.items]
        if page.next is None:
            break
        after = page.next
        async with db.transaction() as tx:
            await enter(tx, ActionKey(*run, f"c{number:02}"), Phase.RUNNING)
            if number < 3:
                await actions_of(tx, run, [f"n{number}"])
        number += 1

    assert seen == [ROOT_ACTION, *(f"c{i:02}" for i in range(30)), "n0", "n1", "n2"]


async def test_b14_what_is_over_costs_nothing_that_is_looked_at_again(engine: Engine) -> None:
    """B14: the executor keeps 54 MiB for each 1,000 actions that ever were. Here only what lives has work."""
    for i in range(10):
        await engine.enqueue(*(new_action(f"c{i}-{j}") for j in range(50)))
        granted = (await engine.lease()).values()
        await engine.report(*(report(g, Phase.SUCCEEDED) for g in granted if g.action != ROOT_ACTION))

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT array_agg(action) FROM work")
        assert await cursor.fetchone() == ([ROOT_ACTION],)


async def test_a_tree_ten_thousand_deep_is_aborted_to_its_last_leaf(engine: Engine) -> None:
    depth = 10_000
    rows = [(*RUN, f"d{i}", f"d{i - 1}" if i else ROOT_ACTION, i + 2) for i in range(depth)]
    async with engine.db.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO action (org, project, domain, run, name, parent, kind, group_name, definition, task_name,
                                task_version, short_name, environment, input_uri, output_base, user_retries,
                                created_by, created_at, queued_at, revision, created_revision, phase, attempt)
            SELECT %(org)s, %(project)s, %(domain)s, %(run)s, n.name, n.parent, 'task', '', '', 't', 'v', 's', 'e', '',
                   '', 0, 'u', clock_timestamp(), clock_timestamp(), n.revision, n.revision, 'queued', 1
              FROM unnest(%(name)s::text[], %(parent)s::text[], %(revision)s::bigint[]) AS n (name, parent, revision)
            """,
            RUN._asdict()
            | {"name": [r[4] for r in rows], "parent": [r[5] for r in rows], "revision": [r[6] for r in rows]},
        )
        await tx.execute(
            """
            INSERT INTO work (org, project, domain, run, action, attempt, owner, is_parent)
            SELECT org, project, domain, run, name, 1, 'dispatch', true FROM action WHERE name <> 'a0'"""
        )
        await tx.execute("UPDATE work SET is_parent = true")
        await tx.execute(
            """
            INSERT INTO event (org, project, domain, run, revision, action, parent, kind, phase, attempt, epoch,
                               cluster, occurred_at)
            SELECT org, project, domain, run, revision, name, parent, 'phase', 'queued', 1, 0, '', created_at
              FROM action WHERE name <> 'a0'"""
        )
        await tx.execute("UPDATE run SET revision = %(r)s", {"r": depth + 1})
        await tx.execute("ANALYZE")  # as autovacuum does: without statistics every index of actions seems as good

    async with asyncio.timeout(60):
        await engine.abort()

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT phase, count(*) FROM action GROUP BY phase")
        assert await cursor.fetchall() == [("aborted", depth + 1)]


async def test_actions_that_name_themselves_or_each_other_as_parents_are_refused(engine: Engine) -> None:
    verdicts = await engine.enqueue(
        new_action("self", "self"), new_action("x", "y"), new_action("y", "x"), new_action("good")
    )

    assert [str(v) if v else None for v in verdicts] == [
        "parent_action_name: no action 'self' in run local/flytesnacks/development/r1",
        "parent_action_name: no action 'y' in run local/flytesnacks/development/r1",
        "parent_action_name: no action 'x' in run local/flytesnacks/development/r1",
        None,
    ]


def test_run_names_are_of_the_platform_and_differ() -> None:
    from signalbox.rules.names import run_name  # noqa: PLC0415  # beside its only use

    names = {run_name(i.to_bytes(16, "big")) for i in range(1000)}

    assert len(names) == 1000
    assert all(RunKey("o", "p", "d", name).run.startswith("r") for name in names)
