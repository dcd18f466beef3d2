"""Every stream says something in time, also when others keep waking it: quiet must be told from dead by its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest_asyncio
from flyteidl2.workflow import run_service_pb2

from signalbox.rules.phases import Phase
from signalbox.store import clusters
from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as link
from support.engine import CLUSTER, RUN, Engine, report
from support.link import FACTS, LINK
from support.requests import ENQUEUE, enqueued, identify, parent_of
from support.service import Service, service

EVERY = timedelta(seconds=0.3)


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """A root that runs."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    await made.report(report((await made.lease())["a0"], Phase.RUNNING))
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    """With children c1 and c2 of the root."""
    del engine
    async with service(database_url, progress_every=EVERY) as made:
        for name in ("c1", "c2"):
            await made.call(ENQUEUE, enqueued(name))
        yield made


@asynccontextmanager
async def busy(running: Service) -> AsyncGenerator[None]:
    """Children of c1 come every 50 ms."""

    over = asyncio.Event()

    async def come() -> None:
        for number in range(10_000):
            if over.is_set():
                return
            await running.call(ENQUEUE, enqueued(f"d{number}", parent="c1"))
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        group.create_task(come())
        try:
            yield
        finally:
            over.set()


async def longest_silence(stream: AsyncIterator[Any], *, messages: int) -> float:
    """Seconds between two of so many messages at most."""
    longest, last = 0.0, monotonic()
    for _ in range(messages):
        await asyncio.wait_for(anext(stream), 4)
        longest, last = max(longest, monotonic() - last), monotonic()
    return longest


async def test_a_parent_hears_that_all_is_well_while_another_parents_children_come(
    running: Service,
) -> None:
    """R1: a busy sibling kept the watch silent for as long as it was busy."""
    request = parent_of("c2")
    async with busy(running):
        stream = running.stream("actions.ActionsService/WatchForUpdates", request)
        assert await longest_silence(stream, messages=6) < 1.5


async def test_a_watch_of_one_action_speaks_while_others_change(running: Service) -> None:
    request = run_service_pb2.WatchActionDetailsRequest()
    identify(request.action_id, "c2")
    async with busy(running):
        stream = running.stream("workflow.RunService/WatchActionDetails", request)
        assert await longest_silence(stream, messages=6) < 1.5


async def test_a_watch_of_an_attempts_events_speaks_in_time_and_no_oftener_while_others_change(
    running: Service,
) -> None:
    request = run_service_pb2.WatchClusterEventsRequest(attempt=1)
    identify(request.id, "c2")
    async with busy(running):
        stream = running.stream("workflow.RunService/WatchClusterEvents", request)
        began = monotonic()
        assert await longest_silence(stream, messages=6) < 1.5
        assert monotonic() - began > 4 * EVERY.total_seconds(), "not once for each change of somebody else"


async def test_a_lease_stream_speaks_and_tells_aborts_again_while_work_keeps_coming(
    engine: Engine, running: Service, database_url: str
) -> None:
    granted = (await engine.lease())["c2"]
    root = (await engine.state("a0")).live
    assert root is not None
    await engine.report(report(granted, Phase.RUNNING))
    await engine.abort(granted.key)
    async with engine.db.transaction() as tx:
        await clusters.insert_credential(tx, CLUSTER, token="sbc_one", life=timedelta(hours=1))
    request = link.LeaseRequest(session_id="s2", facts=FACTS, capacity=1)
    for name, epoch in (("a0", root.epoch), ("c2", granted.epoch)):
        ref = request.held.add(attempt=1, epoch=epoch)
        identify(ref.action_id, name)
        ref.action_id.run.org = RUN.org
    async with service(database_url, token="sbc_one", progress_every=EVERY) as cluster, busy(running):
        stream = cluster.client.stream(f"{LINK}/Lease", request, link.LeaseResponse)
        told: list[str] = []
        async with asyncio.timeout(10):
            while told.count("aborts") < 3 or told.count("progress") < 3:
                told.append((await anext(stream)).WhichOneof("message"))
        cluster.parts.hub.drain()
