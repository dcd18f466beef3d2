"""ActionsService on the wire: what a parent enqueues, and what it is told of its children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2 as pb
from flyteidl2.common import phase_pb2

from signalbox.rules.phases import Phase
from signalbox.store import clusters
from signalbox.store.db import Database
from support.engine import CLUSTER, ROOT, RUN, Engine, report
from support.service import Service, service

SERVICE = "actions.ActionsService"


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """A run whose root is running."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    await made.report(report((await made.lease())["a0"], Phase.RUNNING))
    return made


@pytest_asyncio.fixture
async def running(database_url: str) -> AsyncGenerator[Service]:
    async with service(database_url, progress_every=timedelta(seconds=0.3)) as made:
        yield made


def enqueued(name: str, *, parent: str = "a0") -> pb.EnqueueRequest:
    request = pb.EnqueueRequest()
    action = request.action
    action.action_id.name = name
    run = action.action_id.run
    run.project, run.domain, run.name = RUN.project, RUN.domain, RUN.run  # no org, as the SDK of a laptop sends it
    action.parent_action_name = parent
    action.input_uri = "file:///store/r1/c1/inputs.pb"
    action.run_output_base = "file:///store/r1"
    task = action.task
    task.id.project, task.id.domain, task.id.name, task.id.version = RUN.project, RUN.domain, "main.leaf", "v1"
    task.spec.short_name = "leaf"
    task.spec.task_template.id.name = "main.leaf"
    return request


async def watch(running: Service, parent: str = "a0") -> AsyncGenerator[str]:
    """What a parent is told, as words: `sentinel`, or a child's name and phase."""
    request = pb.WatchForUpdatesRequest()
    request.parent_action_id.name = parent
    request.parent_action_id.run.project, request.parent_action_id.run.domain = RUN.project, RUN.domain
    request.parent_action_id.run.name = RUN.run
    async for message in running.stream(f"{SERVICE}/WatchForUpdates", request):
        if message.HasField("control_message"):
            yield "sentinel"
        else:
            update = message.action_update
            yield f"{update.action_id.name} {phase_pb2.ActionPhase.Name(update.phase).removeprefix('ACTION_PHASE_')}"


async def next_news(stream: AsyncIterator[str]) -> str:
    """The next that is not the mark of a quiet stream."""
    async with asyncio.timeout(10):
        while True:
            if (told := await anext(stream)) != "sentinel":
                return told


async def test_a_child_is_told_of_once_when_it_is_seen_and_once_when_it_is_over(
    engine: Engine, running: Service
) -> None:
    async with aclosing(watch(running)) as stream:
        assert await anext(stream) == "sentinel"
        await running.call(f"{SERVICE}/Enqueue", enqueued("c1"))
        assert await next_news(stream) == "c1 QUEUED"

        child = (await engine.lease())["c1"]
        await engine.report(report(child, Phase.RUNNING))
        assert [await anext(stream) for _ in range(2)] == ["sentinel", "sentinel"], "only that all is well"
        await engine.report(report(child, Phase.SUCCEEDED))

        assert await next_news(stream) == "c1 SUCCEEDED"


async def test_a_parent_that_comes_again_is_told_of_every_child_before_the_sentinel(
    engine: Engine, running: Service
) -> None:
    """The SDK re-runs no child whose result is in the snapshot."""
    for name in ("c1", "c2", "c3"):
        await running.call(f"{SERVICE}/Enqueue", enqueued(name))
    granted = await engine.lease()
    await engine.report(report(granted["c1"], Phase.SUCCEEDED), report(granted["c2"], Phase.FAILED))

    async with aclosing(watch(running)) as stream:
        told = [await anext(stream) for _ in range(4)]

    assert sorted(told[:3]) == ["c1 SUCCEEDED", "c2 FAILED", "c3 QUEUED"]
    assert told[3] == "sentinel"


async def test_another_parents_children_are_not_told_of(engine: Engine, running: Service) -> None:
    await running.call(f"{SERVICE}/Enqueue", enqueued("c1"))
    async with aclosing(watch(running, "c1")) as stream:
        assert await anext(stream) == "sentinel"
        await running.call(f"{SERVICE}/Enqueue", enqueued("c2"))
        await running.call(f"{SERVICE}/Enqueue", enqueued("d1", parent="c1"))

        assert await next_news(stream) == "d1 QUEUED"


async def test_a_watch_ends_cleanly_when_the_process_stops(engine: Engine, running: Service) -> None:
    """S1: on `canceled` the stock SDK's informer returns for good, and the parent never hears of its children again."""
    del engine
    async with aclosing(watch(running)) as stream:
        assert await anext(stream) == "sentinel"

        running.parts.hub.drain()

        async with asyncio.timeout(5):
            assert [told async for told in stream if told != "sentinel"] == []


async def test_a_watch_of_what_does_not_exist_says_so(engine: Engine, running: Service) -> None:
    del engine
    with pytest.raises(ConnectError, match="a9") as refused:
        await anext(watch(running, "a9"))

    assert refused.value.code is Code.NOT_FOUND


async def test_enqueue_is_idempotent_and_leaves_one_audit_row(engine: Engine, running: Service) -> None:
    for _ in range(3):
        await running.call(f"{SERVICE}/Enqueue", enqueued("c1"))

    assert list(await engine.lease()) == ["c1"]
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT principal, resource, outcome FROM audit WHERE operation = 'action.enqueue'")
        assert await cursor.fetchall() == [("user:developer", f"{RUN}/c1", "done")]


REFUSED: list[tuple[Callable[[pb.EnqueueRequest], object], Code, str]] = [
    (lambda r: r.action.ClearField("task"), Code.INVALID_ARGUMENT, "spec"),
    (lambda r: r.action.condition.SetInParent(), Code.INVALID_ARGUMENT, "condition"),
    (lambda r: r.action.task.id.ClearField("name"), Code.INVALID_ARGUMENT, "name"),
    (lambda r: setattr(r.action.action_id, "name", "x" * 31), Code.INVALID_ARGUMENT, "name"),
    (lambda r: setattr(r.action.action_id, "name", "a/b"), Code.INVALID_ARGUMENT, "action_id.name"),
    (lambda r: setattr(r.action, "parent_action_name", "nobody"), Code.NOT_FOUND, "nobody"),
    (lambda r: setattr(r.action.action_id.run, "name", "r9"), Code.NOT_FOUND, "r9"),
]


@pytest.mark.parametrize(("change", "code", "said"), REFUSED)
async def test_a_child_that_cannot_be_is_refused_in_words(
    engine: Engine, running: Service, change: Callable[[pb.EnqueueRequest], object], code: Code, said: str
) -> None:
    request = enqueued("c1")
    change(request)

    with pytest.raises(ConnectError) as refused:
        await running.call(f"{SERVICE}/Enqueue", request)

    assert refused.value.code is code
    assert said in refused.value.message
    assert await engine.lease() == {}


async def test_a_text_that_cannot_be_kept_is_refused_and_its_neighbours_are_not(
    engine: Engine, running: Service
) -> None:
    bad = enqueued("c1")
    bad.action.group = "a\0b"

    async with asyncio.TaskGroup() as group:
        good = [group.create_task(running.call(f"{SERVICE}/Enqueue", enqueued(name))) for name in ("c2", "c3")]
        refused = group.create_task(refusal(running, bad))

    assert all(task.done() for task in good)
    assert refused.result().code is Code.INVALID_ARGUMENT
    assert "NUL" in refused.result().message
    assert sorted(await engine.lease()) == ["c2", "c3"]


async def refusal(running: Service, request: pb.EnqueueRequest) -> ConnectError:
    with pytest.raises(ConnectError) as refused:
        await running.call(f"{SERVICE}/Enqueue", request)
    return refused.value


async def test_what_is_enqueued_in_a_run_that_is_being_aborted_hears_aborted(engine: Engine, running: Service) -> None:
    await engine.abort()

    with pytest.raises(ConnectError) as refused:
        await running.call(f"{SERVICE}/Enqueue", enqueued("c1"))

    assert refused.value.code is Code.ABORTED


async def test_an_abort_of_a_child_takes_it_from_the_queue(engine: Engine, running: Service) -> None:
    await running.call(f"{SERVICE}/Enqueue", enqueued("c1"))
    request = pb.AbortRequest(action_id=enqueued("c1").action.action_id, reason="not needed")

    await running.call(f"{SERVICE}/Abort", request)

    assert await engine.phase("c1") is Phase.ABORTED
    assert await engine.lease() == {}


async def test_a_cluster_may_update_what_it_holds_and_nothing_else(engine: Engine, database_url: str) -> None:
    await engine.enqueue()
    async with engine.db.transaction() as tx:
        await clusters.insert_credential(tx, CLUSTER, token="sbc_one", life=timedelta(hours=1))
    request = pb.UpdateRequest(attempt=1)
    request.action_id.CopyFrom(enqueued("a0").action.action_id)
    request.status.phase, request.status.attempts = phase_pb2.ACTION_PHASE_SUCCEEDED, 1
    async with service(database_url, token="sbc_one") as running:
        await running.call(f"{SERVICE}/Update", request)
        assert await engine.phase(ROOT.action) is Phase.SUCCEEDED
        request.status.phase = phase_pb2.ACTION_PHASE_FAILED
        with pytest.raises(ConnectError) as refused:
            await running.call(f"{SERVICE}/Update", request)

    assert refused.value.code is Code.ABORTED
    assert await engine.phase(ROOT.action) is Phase.SUCCEEDED
