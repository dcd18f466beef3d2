"""Bad input on the wire: refused with the reason in words and a code of its own, neighbours and state unharmed."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2 as pb
from flyteidl2.common import phase_pb2
from flyteidl2.core import types_pb2
from flyteidl2.workflow import run_definition_pb2, run_service_pb2
from pyqwest import Client
from pyqwest.testing import ASGITransport

from signalbox.control import leases
from signalbox.ids import ClusterKey
from signalbox.rules.phases import Phase, Verdict
from signalbox.store import clusters
from signalbox.store.db import Database
from support.engine import FACTS, RUN, Engine, new_action, report
from support.service import Service, service

ENQUEUE = "actions.ActionsService/Enqueue"


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    await made.report(report((await made.lease())["a0"], Phase.RUNNING))
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    async with service(database_url) as made:
        yield made


def enqueue(name: str = "c1") -> pb.EnqueueRequest:
    request = pb.EnqueueRequest()
    action = request.action
    action.action_id.name = name
    run = action.action_id.run
    run.project, run.domain, run.name = RUN.project, RUN.domain, RUN.run
    action.parent_action_name = "a0"
    action.input_uri, action.run_output_base = "file:///store/r1/c1/inputs.pb", "file:///store/r1"
    task = action.task
    task.id.project, task.id.domain, task.id.name, task.id.version = RUN.project, RUN.domain, "main.leaf", "v1"
    task.spec.short_name = "leaf"
    task.spec.task_template.id.name = "main.leaf"
    return request


async def refusal(running: Service, rpc: str, request: object) -> ConnectError:
    with pytest.raises(ConnectError) as refused:
        await running.call(rpc, request)  # pyright: ignore[reportArgumentType]  # a message
    return refused.value


async def raw(running: Service, body: bytes, **headers: str) -> tuple[int, dict[str, str]]:
    client = Client(ASGITransport(running.app))
    answer = await client.post(
        f"http://127.0.0.1:8090/flyteidl2.{ENQUEUE}",
        headers={"content-type": "application/proto", "connect-protocol-version": "1", **headers},
        content=body,
    )
    return answer.status, json.loads(answer.content)


async def test_a_body_that_is_no_message_is_an_invalid_argument(running: Service) -> None:
    status, error = await raw(running, b"\xff" * 100)

    assert (status, error["code"]) == (400, "invalid_argument")


async def test_a_body_that_is_not_compressed_as_it_says_is_an_invalid_argument(running: Service) -> None:
    status, error = await raw(running, b"no gzip", **{"content-encoding": "gzip"})

    assert status in (400, 415)
    assert error["code"] == "invalid_argument"


async def test_a_request_above_the_limit_is_refused_also_when_it_is_small_on_the_wire(running: Service) -> None:
    limit = running.parts.settings.request_limit_bytes
    status, error = await raw(running, gzip.compress(b"\0" * (limit * 4)), **{"content-encoding": "gzip"})

    assert error["code"] == "resource_exhausted"
    assert status == 429


@pytest.mark.parametrize("field", ["short_name", "input_uri", "group"])
async def test_a_nul_byte_is_refused_and_neighbours_of_its_batch_are_not(
    running: Service, engine: Engine, field: str
) -> None:
    bad = enqueue("bad")
    match field:
        case "short_name":
            bad.action.task.spec.short_name = "a\0b"
        case "input_uri":
            bad.action.input_uri = "file:///\0"
        case _:
            bad.action.group = "\0"

    good = [running.call(ENQUEUE, enqueue(f"c{i}")) for i in range(5)]
    outcomes = await asyncio.gather(*good, running.call(ENQUEUE, bad), return_exceptions=True)

    refused = outcomes.pop()
    assert isinstance(refused, ConnectError)
    assert refused.code is Code.INVALID_ARGUMENT
    assert not [o for o in outcomes if isinstance(o, BaseException)]
    assert set(await engine.lease()) == {f"c{i}" for i in range(5)}


async def test_an_unknown_parent_and_an_unknown_run_are_not_found(running: Service) -> None:
    orphan = enqueue()
    orphan.action.parent_action_name = "nobody"
    elsewhere = enqueue()
    elsewhere.action.action_id.run.name = "r9"

    first, second = await refusal(running, ENQUEUE, orphan), await refusal(running, ENQUEUE, elsewhere)

    assert (first.code, second.code) == (Code.NOT_FOUND, Code.NOT_FOUND)
    assert "no action 'nobody'" in first.message
    assert "r9: not found" in second.message


@pytest.mark.parametrize("phase", [0, 4, 99])
async def test_a_trace_with_a_phase_that_it_cannot_have_is_refused_in_words(running: Service, phase: int) -> None:
    request = enqueue()
    trace = run_definition_pb2.TraceAction(name="lookup", phase=phase)  # pyright: ignore[reportArgumentType]  # on purpose
    trace.spec.interface.SetInParent()
    request.action.trace.CopyFrom(trace)

    refused = await refusal(running, ENQUEUE, request)

    assert refused.code is Code.INVALID_ARGUMENT
    assert "phase" in refused.message


async def test_timeouts_and_waits_out_of_range_are_refused_with_what_was_wanted(running: Service) -> None:
    negative, endless, factor = enqueue(), enqueue(), enqueue()
    negative.action.task.spec.task_template.metadata.timeout.seconds = -5
    endless.action.task.spec.task_template.metadata.timeouts.deadline.seconds = 10**11
    backoff = factor.action.task.spec.task_template.metadata.retries.backoff
    backoff.base.seconds, backoff.factor = 1, 0.5

    for bad, word in ((negative, "timeout"), (endless, "deadline"), (factor, "factor")):
        refused = await refusal(running, ENQUEUE, bad)
        assert refused.code is Code.INVALID_ARGUMENT
        assert word in refused.message


async def test_a_signal_of_the_wrong_type_is_refused_and_the_condition_still_waits(
    running: Service, engine: Engine
) -> None:
    request = enqueue("q1")
    condition = request.action.condition
    condition.name, condition.type.simple = "approve", types_pb2.BOOLEAN
    await running.call(ENQUEUE, request)
    signal = run_service_pb2.SignalEventRequest(action_id=request.action.action_id, parent_action_name="a0")
    signal.payload.string_value = "yes"

    refused = await refusal(running, "workflow.RunService/SignalEvent", signal)

    assert (refused.code, refused.message) == (
        Code.INVALID_ARGUMENT,
        "payload: the condition wants a value of type bool, got str",
    )
    assert await engine.phase("q1") is Phase.PAUSED
    signal.payload.bool_value = True
    await running.call("workflow.RunService/SignalEvent", signal)
    again = await refusal(running, "workflow.RunService/SignalEvent", signal)
    assert again.code is Code.FAILED_PRECONDITION


async def test_a_signal_to_a_task_or_to_nobody_says_so(running: Service) -> None:
    signal = run_service_pb2.SignalEventRequest(action_id=enqueue().action.action_id, parent_action_name="a0")
    signal.payload.bool_value = True
    missing = await refusal(running, "workflow.RunService/SignalEvent", signal)
    await running.call(ENQUEUE, enqueue())
    a_task = await refusal(running, "workflow.RunService/SignalEvent", signal)

    assert missing.code is Code.NOT_FOUND
    assert (a_task.code, a_task.message.rpartition(": ")[2]) == (Code.INVALID_ARGUMENT, "a task waits for no signal")


async def test_a_limit_that_would_stop_its_run_is_refused_with_the_reason(running: Service) -> None:
    request = run_service_pb2.CreateRunRequest()
    request.project_id.name, request.project_id.domain = RUN.project, RUN.domain
    request.task_spec.task_template.id.name = "main.main"
    request.offloaded_input_data.uri, request.offloaded_input_data.inputs_hash = "file:///in.pb", "h"
    request.run_spec.max_action_concurrency = 1

    refused = await refusal(running, "workflow.RunService/CreateRun", request)

    assert refused.code is Code.INVALID_ARGUMENT
    assert "max_action_concurrency: 0 (no limit) or at least 2" in refused.message


async def test_a_cache_key_or_a_version_that_no_index_can_keep_is_refused_with_its_bound(running: Service) -> None:
    cached = enqueue()
    cached.action.task.cache_key.value = "k" * 513
    run = run_service_pb2.CreateRunRequest()
    run.project_id.name, run.project_id.domain = RUN.project, RUN.domain
    run.task_spec.task_template.id.name, run.task_spec.task_template.id.version = "main.main", "v" * 64
    run.offloaded_input_data.uri, run.offloaded_input_data.inputs_hash = "file:///in.pb", "h"

    refused = [await refusal(running, ENQUEUE, cached), await refusal(running, "workflow.RunService/CreateRun", run)]

    assert [(e.code, e.message) for e in refused] == [
        (Code.INVALID_ARGUMENT, "cache_key: 1 to 512 characters, got 513"),
        (Code.INVALID_ARGUMENT, "task_spec.task_template.id.version: at most 63 characters, got 64"),
    ]


async def test_a_huge_error_is_cut_and_says_so(engine: Engine) -> None:
    from signalbox.api import wire  # noqa: PLC0415  # beside its only use

    error = run_definition_pb2.ErrorInfo(message="x" * 10_000_000, kind=run_definition_pb2.ErrorInfo.KIND_USER)

    kept = wire.cut_error(error, 8192)

    assert len(kept.message) < 9000
    assert kept.message.endswith("(cut: 10000000 bytes, 8192 are kept)")
    await engine.enqueue(new_action("c1"))
    granted = (await engine.lease())["c1"]
    failed = report(granted, Phase.FAILED, error=kept.SerializeToString())
    assert await engine.report(failed) == [Verdict.ACCEPTED]


async def test_a_report_about_another_clusters_action_counts_for_nothing(engine: Engine) -> None:
    other = ClusterKey("local", "two")
    async with engine.db.transaction() as tx:
        await clusters.enrol(tx, other, FACTS)
    await leases.begin(engine.agent(other), engine.hub, other, session="t1", capacity=10, facts=FACTS)
    await engine.enqueue(new_action("c1"))
    granted = (await engine.lease())["c1"]

    verdicts = await engine.report(report(granted, Phase.SUCCEEDED, cluster=other), report(granted, Phase.RUNNING))

    assert verdicts == [Verdict.STALE_EPOCH, Verdict.ACCEPTED]
    assert await engine.phase("c1") is Phase.RUNNING


def test_the_phases_of_the_wire_are_those_of_the_product() -> None:
    assert len(phase_pb2.ActionPhase.values()) == len(Phase) + 1, "all, and the unspecified one"
