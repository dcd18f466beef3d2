"""What a cluster tells of an attempt besides its phase: kept once, shown with the attempt, and watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.workflow import run_definition_pb2, run_service_pb2

from signalbox.rules.phases import Phase
from signalbox.store import cluster_events
from signalbox.store.db import Database
from support.engine import NOW, RUN, Engine, report
from support.service import Service, service

WATCH = "workflow.RunService/WatchClusterEvents"


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    async with service(database_url, progress_every=timedelta(seconds=0.2)) as made:
        yield made


def told(reason: str) -> tuple[object, bytes]:
    event = run_definition_pb2.ClusterEvent(reason=reason, message=f"it was {reason}")
    event.occurred_at.FromDatetime(NOW)
    return NOW, event.SerializeToString(deterministic=True)


def watch(attempt: int = 1) -> run_service_pb2.WatchClusterEventsRequest:
    request = run_service_pb2.WatchClusterEventsRequest(attempt=attempt)
    request.id.name = "a0"
    run = request.id.run
    run.project, run.domain, run.name = RUN.project, RUN.domain, RUN.run
    return request


async def test_a_watch_has_what_was_told_then_what_comes_and_ends_with_the_attempt(
    running: Service, engine: Engine
) -> None:
    granted = (await engine.lease())["a0"]
    started = report(granted, Phase.RUNNING, cluster_events=[told("started")])
    await engine.report(started, started)
    heard: list[str] = []
    began = asyncio.Event()

    async def listen() -> None:
        async for message in running.stream(WATCH, watch()):
            heard.extend(event.reason for event in message.cluster_events)
            if heard:
                began.set()

    listening = asyncio.create_task(listen())
    await asyncio.wait_for(began.wait(), 10)
    await engine.report(report(granted, Phase.SUCCEEDED, cluster_events=[told("completed")]))
    await asyncio.wait_for(listening, 10)

    assert heard == ["started", "completed"]
    async with engine.db.autocommit() as tx:
        kept = await cluster_events.of_action(tx, granted.key)
    assert [run_definition_pb2.ClusterEvent.FromString(event.body).reason for event in kept] == heard


async def test_an_attempt_that_there_is_not_yet_is_not_found(running: Service) -> None:
    with pytest.raises(ConnectError) as refused:
        async for _ in running.stream(WATCH, watch(attempt=2)):
            pass

    assert refused.value.code is Code.NOT_FOUND
    assert "has no attempt 2, its newest is 1" in refused.value.message
