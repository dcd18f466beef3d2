"""How long texts may be: what is a name is refused in words beyond its bound, free text is cut and says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2
from flyteidl2.cacheservice import cacheservice_pb2
from flyteidl2.project import project_service_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.api import wire
from signalbox.control import leases
from signalbox.rules.phases import Phase
from signalbox.store import outbox
from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as link
from support.engine import CLUSTER, RUN, Engine, new_action, report
from support.link import FACTS, LINK, enrolled, until
from support.requests import ENQUEUE, RUNS, created, details, enqueued, identify
from support.service import Service, service

HUGE = "y" * 3_000_000


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """A run whose root is running, held by a cluster."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    await made.report(report((await made.lease())["a0"], Phase.RUNNING))
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    del engine
    async with service(database_url) as made:
        yield made


@pytest.mark.parametrize("rpc", ["AbortRun", "AbortAction", "Abort"])
async def test_the_reason_of_an_abort_is_cut_where_it_is_kept_told_and_shown(
    running: Service, engine: Engine, rpc: str
) -> None:
    """A4: a reason of 3 MB stood whole on the action and in the outbox, once for each action of the run."""
    match rpc:
        case "AbortRun":
            request = run_service_pb2.AbortRunRequest(reason=HUGE)
            request.run_id.project, request.run_id.domain, request.run_id.name = RUN.project, RUN.domain, RUN.run
            await running.call(f"{RUNS}/AbortRun", request)
        case "AbortAction":
            request = run_service_pb2.AbortActionRequest(reason=HUGE)
            identify(request.action_id, "a0")
            await running.call(f"{RUNS}/AbortAction", request)
        case _:
            request = actions_service_pb2.AbortRequest(reason=HUGE)
            identify(request.action_id, "a0")
            await running.call("actions.ActionsService/Abort", request)

    cut = "y" * 1024 + "... (cut: 3000000 bytes, 1024 are kept)"
    async with engine.db.autocommit() as tx:
        kept = await (await tx.execute("SELECT abort_reason FROM action")).fetchall()
        told = await outbox.aborts(tx, CLUSTER, after=0)
    assert kept == [(cut,)]
    assert [abort.reason for abort in told] == [cut]


TOO_LONG: list[tuple[str, Callable[[Any], object], str]] = [
    ("task", lambda a: setattr(a, "group", HUGE), "action.group: at most 255 characters, got 3000000"),
    ("task", lambda a: setattr(a.task, "queue", "q" * 300), "action.task.queue: at most 63 characters, got 300"),
    ("task", lambda a: setattr(a.task.id, "name", "x" * 300), "name"),
    ("task", lambda a: setattr(a.task.spec, "short_name", "x" * 64), "short_name"),
    ("task", lambda a: setattr(a.task.spec.environment, "name", "x" * 64), "environment.name"),
    ("task", lambda a: setattr(a.task.cache_key, "value", "x" * 513), "cache_key: 1 to 512 characters"),
    ("task", lambda a: setattr(a, "input_uri", "file:///" + HUGE), "input_uri: at most 4096 characters"),
    ("task", lambda a: setattr(a, "run_output_base", "file:///" + HUGE), "run_output_base: at most 4096 characters"),
    ("trace", lambda a: setattr(a.trace, "name", HUGE), "action.trace"),
    ("trace", lambda a: setattr(a.trace, "name", "x" * 256), "action.trace.name: at most 255 characters"),
    ("trace", lambda a: setattr(a.trace.outputs, "output_uri", "x" * 5000), "output_uri: at most 4096 characters"),
    ("condition", lambda a: setattr(a.condition, "name", HUGE), "action.condition.name: at most 255 characters"),
    ("condition", lambda a: setattr(a.condition, "prompt", "x" * 4097), "prompt"),
    ("condition", lambda a: setattr(a.condition, "description", "x" * 2049), "description"),
]


@pytest.mark.parametrize(("kind", "change", "said"), TOO_LONG)
async def test_a_name_of_a_child_that_is_too_long_is_refused_in_words(
    running: Service, engine: Engine, kind: str, change: Callable[[Any], object], said: str
) -> None:
    request = enqueued(kind=kind)
    change(request.action)

    with pytest.raises(ConnectError) as refused:
        await running.call(ENQUEUE, request)

    assert refused.value.code is Code.INVALID_ARGUMENT
    assert said in refused.value.message
    assert len(refused.value.message) < 1000, "the text itself is not said again"
    assert await engine.lease() == {}


async def test_texts_within_their_bounds_are_kept_whole(running: Service) -> None:
    task, condition = enqueued(), enqueued("q1", "condition")
    task.action.group = "ä" * 255
    condition.action.condition.prompt, condition.action.condition.description = "?" * 4096, "d" * 2048
    await running.call(ENQUEUE, task)
    await running.call(ENQUEUE, condition)

    shown: dict[str, Any] = {}
    for name in ("c1", "q1"):
        shown[name] = (await running.call(f"{RUNS}/GetActionDetails", details(name))).details
    assert shown["c1"].metadata.group == "ä" * 255
    assert shown["q1"].condition == condition.action.condition


RUN_TEXTS: list[tuple[Callable[[Any], object], str]] = [
    (lambda r: r.run_spec.labels.values.update({"k": HUGE}), "run_spec"),
    (lambda r: r.run_spec.labels.values.update({"k": "v" * 256}), "run_spec.labels: at most 255 characters, got 256"),
    (lambda r: r.run_spec.labels.values.update({"k" * 256: "v"}), "run_spec.labels: at most 255 characters, got 256"),
    (lambda r: r.run_spec.labels.values.update({f"k{n}": "v" for n in range(65)}), "at most 64 labels, got 65"),
    (lambda r: setattr(r.run_spec, "queue", "q" * 64), "run_spec.queue: at most 63 characters, got 64"),
    (lambda r: setattr(r.run_spec, "run_base_dir", "s3://" + "x" * 5000), "run_base_dir: at most 4096 characters"),
    (lambda r: r.run_spec.envs.values.add(key="K", value="v" * 300_000), "run_spec: at most 262144 bytes"),
    (lambda r: setattr(r.offloaded_input_data, "uri", "s3://" + "x" * 5000), "input_uri: at most 4096 characters"),
    (lambda r: setattr(r.task_spec.task_template.id, "version", "v" * 64), "id.version: at most 63 characters"),
    (lambda r: setattr(r.task_spec.task_template.id, "name", "n" * 513), "name: 1 to 512 characters, got 513"),
]


@pytest.mark.parametrize(("change", "said"), RUN_TEXTS)
async def test_a_name_of_a_run_that_is_too_long_is_refused_in_words(
    running: Service, change: Callable[[Any], object], said: str
) -> None:
    request = created()
    change(request)

    with pytest.raises(ConnectError) as refused:
        await running.call(f"{RUNS}/CreateRun", request)

    assert refused.value.code is Code.INVALID_ARGUMENT
    assert said in refused.value.message
    assert len(refused.value.message) < 1000


async def test_an_answer_that_is_too_long_is_refused_and_the_condition_still_waits(
    running: Service, engine: Engine
) -> None:
    await running.call(ENQUEUE, enqueued("q1", "condition"))
    signal = run_service_pb2.SignalEventRequest(parent_action_name="a0")
    identify(signal.action_id, "q1")
    signal.payload.string_value = "x" * 4097

    with pytest.raises(ConnectError, match=r"payload\.string_value: at most 4096 characters, got 4097") as refused:
        await running.call(f"{RUNS}/SignalEvent", signal)

    assert refused.value.code is Code.INVALID_ARGUMENT
    assert await engine.phase("q1") is Phase.PAUSED


async def test_texts_of_projects_and_of_the_cache_are_bounded(running: Service) -> None:
    project = project_service_pb2.Project(id="mine", name="x" * 256)
    put = cacheservice_pb2.PutCacheRequest(key="k")
    put.output.output_uri = "s3://" + "x" * 5000
    for rpc, request, said in (
        ("project.ProjectService/CreateProject", project_service_pb2.CreateProjectRequest(project=project), "name"),
        ("cacheservice.CacheService/Put", put, "output.output_uri: at most 4096 characters"),
    ):
        with pytest.raises(ConnectError, match=said) as refused:
            await running.call(rpc, request)
        assert refused.value.code is Code.INVALID_ARGUMENT
    project.name, project.description = "mine", HUGE
    await running.call(
        "project.ProjectService/CreateProject", project_service_pb2.CreateProjectRequest(project=project)
    )

    asked = project_service_pb2.GetProjectRequest(id="mine")
    kept = (await running.call("project.ProjectService/GetProject", asked)).project
    assert kept.description.endswith("(cut: 3000000 bytes, 1024 are kept)")


async def test_what_a_cluster_says_of_itself_is_bounded(database_url: str, db: Database) -> None:
    async with enrolled(database_url, db) as cluster:
        for request, said in (
            (link.LeaseRequest(session_id="s" * 256, facts=FACTS), "session_id: at most 255 characters"),
            (
                link.LeaseRequest(session_id="s", facts=link.ClusterFacts(dataproxy_endpoint="http://" + HUGE)),
                "facts.dataproxy_endpoint: at most 4096 characters",
            ),
        ):
            with pytest.raises(ConnectError, match=said) as refused:
                await anext(cluster.running.client.stream(f"{LINK}/Lease", request, link.LeaseResponse))
            assert refused.value.code is Code.INVALID_ARGUMENT


async def test_many_aborts_are_told_in_messages_of_bounded_size(
    database_url: str, engine: Engine, running: Service
) -> None:
    del running
    count = leases.ABORT_BATCH + 50
    await engine.enqueue(*(new_action(f"c{number}") for number in range(count)))
    granted: dict[str, Any] = {}
    while len(granted) < count:
        granted |= await engine.lease()
    await engine.abort(reason="r" * 1024)
    async with enrolled(database_url, engine.db) as cluster:
        held = [
            link.AttemptRef(attempt=1, epoch=each.epoch, action_id=wire.action_id(each.key))
            for each in granted.values()
        ]
        stream = cluster.lease("s2", *held)
        messages: list[link.Aborts] = []
        while sum(len(message.aborts) for message in messages) < count:
            messages.append(await until(stream, "aborts"))

    assert {abort.ref.action_id.name for message in messages for abort in message.aborts} >= set(granted)
    assert max(message.ByteSize() for message in messages) < 1024 * 1024
