"""From a child's request to its row and back: bounds, waits, conditions and their answers, traces, groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common import phase_pb2
from flyteidl2.core import execution_pb2, types_pb2
from flyteidl2.workflow import run_definition_pb2, run_service_pb2

from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from support.engine import Engine, report
from support.requests import ENQUEUE, RUNS, details, enqueued, identify, parent_of
from support.service import Service, service

WATCH = "actions.ActionsService/WatchForUpdates"
SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """A run whose root is running."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    await made.report(report((await made.lease())["a0"], Phase.RUNNING))
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    del engine
    async with service(database_url, progress_every=timedelta(seconds=0.3)) as made:
        yield made


async def told(running: Service, name: str) -> Any:
    """The update that tells that this child of the root is over, also to who comes later."""
    async with aclosing(running.stream(WATCH, parent_of())) as stream, asyncio.timeout(10):
        async for message in stream:
            if message.action_update.action_id.name == name and message.action_update.phase > 4:  # past RUNNING
                return message.action_update
    raise AssertionError("the stream ended")


async def shown(running: Service, name: str) -> Any:
    return (await running.call(f"{RUNS}/GetActionDetails", details(name))).details


async def test_the_bounds_and_waits_of_a_task_are_those_of_its_work(running: Service, engine: Engine) -> None:
    request = enqueued()
    metadata = request.action.task.spec.task_template.metadata
    metadata.timeout.seconds, metadata.timeouts.queued_timeout.seconds, metadata.timeouts.deadline.seconds = 5, 6, 7
    metadata.retries.retries, metadata.retries.backoff.factor = 2, 1.5
    metadata.retries.backoff.base.seconds, metadata.retries.backoff.cap.seconds = 1, 9
    metadata.cache_max_age.seconds = 30
    request.action.task.cache_key.value = "k"

    await running.call(ENQUEUE, request)

    live = (await engine.state("c1")).live
    assert live is not None
    timers = live.timers
    assert (timers.run_timeout, timers.queued_timeout) == (5 * SECOND, 6 * SECOND)
    assert timers.deadline is not None
    assert abs(timers.deadline - timers.since - 7 * SECOND) < SECOND / 100
    assert live.backoff is not None
    assert (live.backoff.base, live.backoff.factor, live.backoff.cap) == (SECOND, 1.5, 9 * SECOND)
    assert live.cache_max_age == 30 * SECOND
    assert (await engine.state("c1")).user_retries == 2


BOUNDS: list[tuple[Callable[[Any], object], str]] = [
    (lambda m: setattr(m.timeouts.queued_timeout, "seconds", 60), "max_queued_time (0:01:00)"),
    (lambda m: setattr(m.timeouts.deadline, "seconds", 60), "not over by its deadline"),
]


@pytest.mark.parametrize(("bound", "said"), BOUNDS)
async def test_a_task_that_waits_for_too_long_has_timed_out_and_its_parent_hears_why(
    running: Service, engine: Engine, bound: Callable[[Any], object], said: str
) -> None:
    request = enqueued()
    bound(request.action.task.spec.task_template.metadata)
    await running.call(ENQUEUE, request)
    assert await engine.look() == 0

    await engine.age(61 * SECOND)
    await engine.look()

    update = await told(running, "c1")
    assert (update.phase, update.error.code) == (phase_pb2.ACTION_PHASE_TIMED_OUT, "TimedOut")
    assert said in update.error.message


async def test_a_retry_waits_for_as_long_as_the_task_says(running: Service, engine: Engine) -> None:
    request = enqueued()
    retries = request.action.task.spec.task_template.metadata.retries
    retries.retries, retries.backoff.factor = 3, 2.0
    retries.backoff.base.seconds, retries.backoff.cap.seconds = 60, 90
    await running.call(ENQUEUE, request)

    for waits in (60, 90):
        await engine.report(report((await engine.lease())["c1"], Phase.FAILED, recoverable=True))
        await engine.age((waits - 1) * SECOND)
        await engine.look()
        assert await engine.lease() == {}
        await engine.age(2 * SECOND)
        await engine.look()

    assert (await engine.lease())["c1"].attempt == 3


async def test_of_serialized_tasks_with_one_key_one_runs_and_the_others_take_its_result(
    running: Service, engine: Engine
) -> None:
    for name in ("c1", "c2"):
        request = enqueued(name)
        request.action.task.spec.task_template.metadata.cache_serializable = True
        request.action.task.cache_key.value = "k"
        await running.call(ENQUEUE, request)

    granted = await engine.lease()
    assert set(granted) == {"c1"}
    await engine.report(report(granted["c1"], Phase.SUCCEEDED, output_uri="file:///store/r1/c1/1"))
    await engine.look()

    update = await told(running, "c2")
    assert (update.phase, update.output_uri) == (phase_pb2.ACTION_PHASE_SUCCEEDED, "file:///store/r1/c1/1")


async def test_a_result_that_is_too_old_for_a_task_does_not_answer_it(running: Service, engine: Engine) -> None:
    async def enqueue(name: str, seconds: int) -> None:
        request = enqueued(name)
        request.action.task.cache_key.value = "k"
        request.action.task.spec.task_template.metadata.cache_max_age.seconds = seconds
        await running.call(ENQUEUE, request)

    await enqueue("c1", 60)
    await engine.report(report((await engine.lease())["c1"], Phase.SUCCEEDED))
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE cache_entry SET updated_at = updated_at - interval '1 minute'")

    await enqueue("c2", 50)
    await enqueue("c3", 3600)

    assert (await engine.phase("c2"), await engine.phase("c3")) == (Phase.QUEUED, Phase.SUCCEEDED)


async def test_a_condition_that_nobody_answers_has_timed_out(running: Service, engine: Engine) -> None:
    """A failure would surface in the SDK as an answer that failed."""
    request = enqueued("q1", "condition")
    request.action.condition.timeout.seconds = 60
    await running.call(ENQUEUE, request)
    assert (await shown(running, "q1")).status.phase == phase_pb2.ACTION_PHASE_PAUSED

    await engine.age(61 * SECOND)
    await engine.look()

    assert (await told(running, "q1")).phase == phase_pb2.ACTION_PHASE_TIMED_OUT
    signal = run_service_pb2.SignalEventRequest(parent_action_name="a0")
    identify(signal.action_id, "q1")
    signal.payload.string_value = "late"
    with pytest.raises(ConnectError) as refused:
        await running.call(f"{RUNS}/SignalEvent", signal)
    assert refused.value.code is Code.FAILED_PRECONDITION


ANSWERS = [
    (types_pb2.INTEGER, "int_value", -7, "integer"),
    (types_pb2.FLOAT, "float_value", 0.5, "float_value"),
    (types_pb2.STRING, "string_value", "", "string_value"),
    (types_pb2.BOOLEAN, "bool_value", False, "boolean"),
]
OF_A_TYPE: dict[str, Any] = {"bool_value": True, "int_value": 1, "float_value": 1.0, "string_value": "x"}


@pytest.mark.parametrize(("simple", "field", "value", "kept_as"), ANSWERS)
async def test_a_condition_takes_an_answer_of_its_type_only_and_its_parent_gets_it_inline(
    running: Service, simple: Any, field: str, value: Any, kept_as: str
) -> None:
    request = enqueued("q1", "condition")
    request.action.condition.type.simple = simple
    await running.call(ENQUEUE, request)

    signal = run_service_pb2.SignalEventRequest(parent_action_name="a0")
    identify(signal.action_id, "q1")
    for other in OF_A_TYPE.keys() - {field}:
        setattr(signal.payload, other, OF_A_TYPE[other])
        with pytest.raises(ConnectError, match="wants a value of type") as refused:
            await running.call(f"{RUNS}/SignalEvent", signal)
        assert refused.value.code is Code.INVALID_ARGUMENT
    setattr(signal.payload, field, value)
    await running.call(f"{RUNS}/SignalEvent", signal)

    update = await told(running, "q1")
    assert (update.phase, update.output_uri) == (phase_pb2.ACTION_PHASE_SUCCEEDED, "")
    assert update.value.scalar.primitive.WhichOneof("value") == kept_as
    assert getattr(update.value.scalar.primitive, kept_as) == value
    details = await shown(running, "q1")
    assert details.signal_info.output == update.value
    assert details.signal_info.signalled_by.user.id.subject == "developer"


async def test_a_trace_that_failed_keeps_its_own_times_and_is_told_at_once_and_later(running: Service) -> None:
    request = enqueued("t1", "trace")
    trace = request.action.trace
    trace.phase = phase_pb2.ACTION_PHASE_FAILED
    trace.start_time.seconds, trace.end_time.seconds = 1_700_000_000, 1_700_000_007
    trace.outputs.output_uri = "file:///store/r1/t1/error.pb"
    async with aclosing(running.stream(WATCH, parent_of())) as stream, asyncio.timeout(10):
        assert (await anext(stream)).control_message.sentinel
        await running.call(ENQUEUE, request)
        while not (message := await anext(stream)).HasField("action_update"):
            pass

    later = await told(running, "t1")
    assert message.action_update == later
    assert (later.phase, later.output_uri) == (phase_pb2.ACTION_PHASE_FAILED, "file:///store/r1/t1/error.pb")
    details = await shown(running, "t1")
    assert details.metadata.action_type == run_definition_pb2.ACTION_TYPE_TRACE
    assert details.metadata.trace.name == "lookup"
    status = details.status
    assert (status.start_time.seconds, status.end_time.seconds) == (1_700_000_000, 1_700_000_007)
    assert (status.phase, status.duration_ms) == (phase_pb2.ACTION_PHASE_FAILED, 7000)
    assert (details.attempts[0].start_time.seconds, details.attempts[0].end_time.seconds) == (
        1_700_000_000,
        1_700_000_007,
    )


async def test_a_group_is_shown_with_each_of_its_actions(running: Service, engine: Engine) -> None:
    for name, kind in (("c1", "task"), ("t1", "trace"), ("q1", "condition")):
        request = enqueued(name, kind)
        request.action.group = "first half"
        await running.call(ENQUEUE, request)

    assert {(await shown(running, name)).metadata.group for name in ("c1", "t1", "q1")} == {"first half"}
    assert (await engine.lease())["c1"].group_name == "first half"


ERRORS = [
    (run_definition_pb2.ErrorInfo.KIND_USER, False, execution_pb2.ExecutionError.USER),
    (run_definition_pb2.ErrorInfo.KIND_USER, True, execution_pb2.ExecutionError.USER),
    (run_definition_pb2.ErrorInfo.KIND_SYSTEM, False, execution_pb2.ExecutionError.SYSTEM),
    (run_definition_pb2.ErrorInfo.KIND_SYSTEM, True, execution_pb2.ExecutionError.SYSTEM),
]


@pytest.mark.parametrize(("kind", "recoverable", "told_kind"), ERRORS)
async def test_a_parent_hears_whose_error_it_was_and_whether_another_try_may_help(
    running: Service, engine: Engine, kind: Any, recoverable: bool, told_kind: Any
) -> None:
    await running.call(ENQUEUE, enqueued())
    error = run_definition_pb2.ErrorInfo(kind=kind, code="Broken", message="it broke").SerializeToString()
    is_system = kind == run_definition_pb2.ErrorInfo.KIND_SYSTEM
    for _ in range(4):  # the platform's own retries, of which a task has none
        if granted := (await engine.lease()).get("c1"):
            failed = report(granted, Phase.FAILED, error=error, error_system=is_system, recoverable=recoverable)
            await engine.report(failed)

    update = await told(running, "c1")

    assert (update.error.code, update.error.message) == ("Broken", "it broke")
    assert update.error.kind == told_kind
    expected = "RECOVERABLE" if recoverable else "NON_RECOVERABLE"
    assert execution_pb2.ContainerError.Kind.Name(update.error.recoverability) == expected
