"""Lists stay cheap when there is much: no page reads a whole table."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from signalbox.ids import ActionKey, RunKey, TaskKey
from signalbox.rules.phases import Phase
from signalbox.store import action_details, run_views, tasks
from signalbox.store.db import Database
from signalbox.store.run_views import ActionPosition, Among, Conditions, RunPosition
from support.builders import ORG, SCOPE, START, a_run, a_task, actions_of
from support.database import Server
from support.plans import Explaining

BIG = RunKey(*SCOPE, "big")
RUNS = 2_000
ACTIONS = 10_000
POSITION = RunPosition(START + timedelta(seconds=RUNS // 2), SCOPE.project, SCOPE.domain, "r1000")

SCANNED = re.compile(r"Seq Scan on (\w+)")


# Copies of the run `r0`, a second apart: one by one they would take half a minute.
_MANY_RUNS = """
    INSERT INTO run (org, project, domain, name, run_spec, source, labels, start_time, output_base, created_by,
                     request_digest, created_at)
    SELECT org, project, domain, 'r' || n, run_spec, source, labels, start_time, output_base, created_by,
           request_digest, created_at + n * interval '1 second'
      FROM run, generate_series(1, %(runs)s) n WHERE name = 'r0'"""
_MANY_ROOTS = """
    INSERT INTO action (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest, task_name,
                        task_version, short_name, environment, input_uri, output_base, user_retries, created_by,
                        created_at, revision, created_revision, phase, attempt, queued_at)
    SELECT org, project, domain, 'r' || n, name, parent, kind, group_name, definition, spec_digest,
           'main.t' || n %% 50, task_version, short_name, environment, input_uri, output_base, user_retries,
           created_by, created_at + n * interval '1 second', revision, created_revision, phase, attempt, queued_at
      FROM action, generate_series(1, %(runs)s) n WHERE run = 'r0'"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(postgres: Server) -> AsyncGenerator[Database]:
    """2,000 runs, one of them of 10,000 actions, with statistics."""
    with postgres.database(lawful=False) as url:  # the copies have neither work nor events
        async with Database(url, size=4) as db:
            async with db.transaction() as tx:
                await a_run(tx, "big", created_at=START - timedelta(days=1), phase=Phase.RUNNING)
            for start in range(0, ACTIONS, 1000):
                async with db.transaction() as tx:
                    await actions_of(tx, BIG, [f"c{number:05}" for number in range(start, start + 1000)])
                    # Without statistics the checks of foreign keys take an index that finds all of the run.
                    await tx.execute("ANALYZE action")
            async with db.transaction() as tx:
                await a_run(tx, "r0")
                await tx.execute(_MANY_RUNS, {"runs": RUNS})
                await tx.execute(_MANY_ROOTS, {"runs": RUNS})
                for number in range(100):
                    await a_task(tx, f"main.t{number % 50}", f"v{number}", deployed_at=START + timedelta(days=number))
            async with db.autocommit() as tx:
                await tx.execute("ANALYZE")
            yield db


async def _runs(tx: Any, **more: Any) -> None:
    arguments: dict[str, Any] = {"after": POSITION, "descending": True, "limit": 101} | more
    await run_views.runs(
        tx,
        ORG,
        arguments.pop("scope", SCOPE),
        arguments.pop("conditions", Conditions()),
        **arguments,
    )


QUERIES: dict[str, Callable[[Any], Awaitable[object]]] = {
    "runs, newest first": _runs,
    "runs, first page": lambda tx: _runs(tx, after=None),
    "runs, oldest first": lambda tx: _runs(tx, descending=False),
    "runs of the org": lambda tx: _runs(tx, scope=None),
    "runs of the org, oldest first": lambda tx: _runs(tx, scope=None, descending=False),
    "runs of a task": lambda tx: _runs(tx, conditions=Conditions(task_name=Among(["main.t7"]))),
    "failed runs": lambda tx: _runs(tx, conditions=Conditions(phases=[Phase.FAILED])),
    "runs with a paused action": lambda tx: _runs(tx, conditions=Conditions(paused_only=True)),
    "runs by key": lambda tx: run_views.roots(tx, [RunKey(*SCOPE, "r7"), RunKey(*SCOPE, "r8")]),
    "actions": lambda tx: run_views.actions(
        tx, BIG, Conditions(), after=ActionPosition(5000), descending=False, limit=101
    ),
    "actions, newest first": lambda tx: run_views.actions(
        tx, BIG, Conditions(), after=None, descending=True, limit=101
    ),
    "actions by name": lambda tx: run_views.named(tx, BIG, ["c00001", "c00002"]),
    "changes": lambda tx: run_views.touched(tx, BIG, after=9000, limit=500),
    "revision": lambda tx: run_views.revision(tx, ActionKey(*BIG, "c00001")),
    "rest of the details": lambda tx: action_details.rest(tx, ActionKey(*BIG, "c00001")),
    "attempts": lambda tx: action_details.attempts(tx, ActionKey(*BIG, "c00001")),
    "history": lambda tx: action_details.history(tx, ActionKey(*BIG, "c00001")),
    "latest runs of tasks": lambda tx: tasks.latest_runs(tx, [TaskKey(*SCOPE, "main.t7", "v7")], of_version=False),
    "latest runs of versions": lambda tx: tasks.latest_runs(tx, [TaskKey(*SCOPE, "main.t7", "v7")], of_version=True),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUERIES)
async def test_no_list_reads_a_whole_table(crowded: Database, name: str) -> None:
    async with crowded.transaction() as tx:
        explaining = Explaining(tx)
        await QUERIES[name](explaining)

    assert explaining.plans
    for plan in explaining.plans:
        assert not set(SCANNED.findall(plan)) & {"action", "run", "event"}, plan


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_in_the_middle_of_a_big_run_reads_about_a_page(crowded: Database) -> None:
    """The index leads to the place: rows before it are not read, and nothing is sorted."""
    async with crowded.transaction() as tx:
        explaining = Explaining(tx)
        await run_views.actions(
            explaining,  # pyright: ignore[reportArgumentType]  # stands in for its connection
            BIG,
            Conditions(),
            after=ActionPosition(5000),
            descending=False,
            limit=101,
        )
    (plan,) = explaining.plans
    assert "action_created" in plan
    assert "Sort" not in plan


@pytest.mark.asyncio(loop_scope="module")
async def test_the_guard_sees_a_whole_table_being_read(crowded: Database) -> None:
    async with crowded.transaction() as tx:
        explaining = Explaining(tx)
        await explaining.execute("SELECT name FROM action WHERE short_name = 'nothing like it'")

    assert SCANNED.findall(explaining.plans[0]) == ["action"]
