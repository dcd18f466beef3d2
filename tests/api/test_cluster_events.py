"""What a cluster tells of an attempt besides its phase: kept once, shown with the attempt, and watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.workflow import run_definition_pb2, run_service_pb2

from signalbox.rules.phases import Phase
from signalbox.store import cluster_events
from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as pb
from support.engine import NOW, RUN, USER_ERROR, Engine, new_action, report
from support.link import a_run, enrolled, until
from support.link import report as wire_report
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


def watch(attempt: int = 1, name: str = "a0") -> run_service_pb2.WatchClusterEventsRequest:
    request = run_service_pb2.WatchClusterEventsRequest(attempt=attempt)
    request.id.name = name
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


async def test_details_show_the_newest_events_of_each_attempt(database_url: str, db: Database) -> None:
    """P7: the first 200 of all attempts were shown; what the newest attempt ended with was missing."""

    def many(name: str) -> Callable[[pb.AttemptReport], object]:
        def change(told: pb.AttemptReport) -> None:
            told.recoverable = True
            for number in range(90):
                told.event.cluster_events.add(reason=f"{name}{number}")

        return change

    async with enrolled(database_url, db) as cluster:
        stream = cluster.lease()
        await a_run(database_url, "r1", lambda r: setattr(r.task_spec.task_template.metadata.retries, "retries", 2))
        for attempt in (1, 2, 3):
            (grant,) = (await until(stream, "grants")).grants
            assert grant.ref.attempt == attempt
            await cluster.send(wire_report(grant, "RUNNING", many("began")))
            await cluster.send(wire_report(grant, "FAILED", many("ended")))
    async with service(database_url) as made:
        request = run_service_pb2.GetActionDetailsRequest(action_id=watch().id)
        shown = (await made.call("workflow.RunService/GetActionDetails", request)).details.attempts

    newest = [*(f"began{number}" for number in range(80, 90)), *(f"ended{number}" for number in range(90))]
    assert [[event.reason for event in attempt.cluster_events] for attempt in shown] == [newest] * 3


async def test_a_watch_of_the_second_attempt_has_nothing_of_the_first_and_ends_when_it_is_tried_again(
    running: Service, engine: Engine
) -> None:
    await engine.enqueue(new_action("c1", retries=3))
    for attempt in (1, 2):
        granted = (await engine.lease())["c1"]
        await engine.report(report(granted, Phase.RUNNING, cluster_events=[told(f"began {attempt}")]))
        if attempt == 1:
            await engine.report(report(granted, Phase.FAILED, recoverable=True, error=USER_ERROR))
    heard: list[str] = []
    began = asyncio.Event()

    async def listen() -> None:
        async for message in running.stream(WATCH, watch(attempt=2, name="c1")):
            heard.extend(event.reason for event in message.cluster_events)
            began.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(listen())
        await began.wait()
        end = report(granted, Phase.FAILED, recoverable=True, error=USER_ERROR, cluster_events=[told("ended 2")])
        await engine.report(end)

    assert heard == ["began 2", "ended 2"]
    assert (await engine.state("c1")).attempt == 3


async def test_a_watch_has_all_events_also_where_they_are_more_than_a_page(running: Service, engine: Engine) -> None:
    granted = (await engine.lease())["a0"]
    for number in range(13):
        events = [told(f"{number}-{place}") for place in range(100)]
        await engine.report(report(granted, Phase.RUNNING, cluster_events=events))
    await engine.report(report(granted, Phase.SUCCEEDED))

    async with asyncio.timeout(10):
        heard = [e.reason async for message in running.stream(WATCH, watch()) for e in message.cluster_events]

    assert heard == [f"{number}-{place}" for number in range(13) for place in range(100)]
