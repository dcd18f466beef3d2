"""A tree as deep as it is large: 10,000 actions, each the parent of the next, read and aborted over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest_asyncio
from flyteidl2.common import phase_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.ids import ROOT_ACTION
from signalbox.store import outbox
from signalbox.store.db import Database
from support.builders import a_chain, a_cluster, a_run
from support.engine import CLUSTER
from support.invariants import violations
from support.requests import ENQUEUE, RUNS, details, enqueued, identify, parent_of
from support.service import Service, service

DEPTH = 10_000
SECONDS = 8.0  # of one answer, on a busy machine; measured is a tenth of it
LAST = f"d{DEPTH - 1:05}"


@dataclass
class Tree:
    running: Service
    db: Database

    async def details(self, name: str) -> Any:
        return (await self.running.call(f"{RUNS}/GetActionDetails", details(name))).details

    async def phases(self) -> dict[str, int]:
        async with self.db.autocommit() as tx:
            cursor = await tx.execute("SELECT phase, count(*) FROM action GROUP BY phase")
            return {row[0]: row[1] for row in await cursor.fetchall()}


@pytest_asyncio.fixture
async def tree(database_url: str, db: Database) -> AsyncGenerator[Tree]:
    """All wait for a cluster."""
    async with db.transaction() as tx:
        await a_cluster(tx)
        run = await a_run(tx)
        await a_chain(tx, run, [f"d{number:05}" for number in range(DEPTH)])
    async with db.autocommit() as tx:
        await tx.execute("ANALYZE")  # as autovacuum does a minute after rows came: without statistics plans are guesses
    async with service(database_url) as running:
        yield Tree(running, db)
    assert violations(db.conninfo) == {}


async def test_a_watch_tells_each_parent_before_its_child(tree: Tree) -> None:
    request = run_service_pb2.WatchActionsRequest()
    identify_run(request.run_id)
    stream, told, began = tree.running.stream(f"{RUNS}/WatchActions", request), list[str](), monotonic()

    async with asyncio.timeout(60):
        while len(told) < DEPTH + 1:
            told += [each.action.id.name for each in (await anext(stream)).enriched_actions]

    assert told == [ROOT_ACTION, *(f"d{number:05}" for number in range(DEPTH))]
    assert monotonic() - began < 4 * SECONDS


async def test_details_children_and_lists_are_answered_at_any_depth(tree: Tree) -> None:
    began = monotonic()
    deepest = await tree.details(LAST)
    listed = run_service_pb2.ListActionsRequest()
    identify_run(listed.run_id)
    listed.request.limit = 100
    page = await tree.running.call(f"{RUNS}/ListActions", listed)
    update = await anext(tree.running.stream("actions.ActionsService/WatchForUpdates", parent_of(f"d{DEPTH - 2:05}")))
    await tree.running.call(ENQUEUE, enqueued("below", parent=LAST))

    assert deepest.metadata.parent == f"d{DEPTH - 2:05}"
    assert len(page.actions) == 100
    assert update.action_update.action_id.name == LAST
    assert (await tree.details("below")).metadata.parent == LAST
    assert monotonic() - began < SECONDS


async def test_an_abort_at_the_top_reaches_the_bottom_in_one_transaction(tree: Tree) -> None:
    async with tree.db.transaction() as tx:
        await tx.execute(
            "UPDATE work SET owner = 'cluster', cluster = 'one', epoch = 1 WHERE action = %(last)s", {"last": LAST}
        )
    request = run_service_pb2.AbortActionRequest(reason="enough")
    identify(request.action_id, "d00000")
    began = monotonic()

    await tree.running.call(f"{RUNS}/AbortAction", request)

    assert monotonic() - began < SECONDS
    assert await tree.phases() == {"queued": 2, "aborted": DEPTH - 1}
    async with tree.db.autocommit() as tx:
        assert [abort.action for abort in await outbox.aborts(tx, CLUSTER, after=0)] == [LAST]


async def test_the_end_of_the_root_ends_all_that_is_below_it(tree: Tree) -> None:
    request = run_service_pb2.AbortRunRequest(reason="enough")
    identify_run(request.run_id)
    began = monotonic()

    await tree.running.call(f"{RUNS}/AbortRun", request)

    assert monotonic() - began < SECONDS
    assert await tree.phases() == {"aborted": DEPTH + 1}
    assert (await tree.details(LAST)).status.phase == phase_pb2.ACTION_PHASE_ABORTED


def identify_run(message: Any) -> None:
    message.project, message.domain, message.name = "flytesnacks", "development", "r1"
