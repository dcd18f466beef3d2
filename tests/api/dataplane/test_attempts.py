"""Attempts from grant to report: real agent process, real task processes, a stub control plane."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from flyteidl2.common.phase_pb2 import (
    ACTION_PHASE_ABORTED,
    ACTION_PHASE_FAILED,
    ACTION_PHASE_RUNNING,
    ACTION_PHASE_SUCCEEDED,
)
from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument, ExecutionError
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.tasks_pb2 import Container, TaskTemplate
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral
from flyteidl2.task.task_definition_pb2 import TaskSpec
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo
from google.protobuf.duration_pb2 import Duration

from support.dataplane import OUT, SUCCEED, shell_task
from support.processes import gone, read_when_there
from support.stub_control_plane import StubControlPlane

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("plane")]


async def test_a_process_is_reported_running_once_and_then_succeeded(stub: StubControlPlane, action: str) -> None:
    stub.grant(action, shell_task(f"sleep 0.3; {SUCCEED}"))

    (end,) = await stub.ended(action)

    assert stub.phases(action) == [ACTION_PHASE_RUNNING, ACTION_PHASE_SUCCEEDED]
    assert end.event.outputs.output_uri == f"{stub.storage}/runs/r1/{action}/1"
    assert end.event.cluster == "local-1"
    assert end.event.log_info[0].uri == f"{stub.storage}/runs/r1/{action}/1/task.log"
    assert end.event.log_context.primary_pod_name == f"r1-{action}-1"
    took = end.event.end_time.ToDatetime() - end.event.start_time.ToDatetime()
    assert 0.3 <= took.total_seconds() < 5


def error_document(directory: Path, **fields: object) -> str:
    path = directory / "document.pb"
    path.write_bytes(ErrorDocument(error=ContainerError(**fields)).SerializeToString())  # pyright: ignore[reportArgumentType]  # keyword by keyword
    return str(path)


async def test_an_error_document_decides_even_with_exit_code_0_and_outputs(
    stub: StubControlPlane, action: str, tmp_path: Path
) -> None:
    path = error_document(
        tmp_path,
        code="ValueError",
        message="no good",
        kind=ContainerError.NON_RECOVERABLE,
        origin=ExecutionError.USER,
    )
    stub.grant(action, shell_task(f'{SUCCEED}; cp "$1" "$out/error.pb"', path))

    (end,) = await stub.ended(action)

    assert end.event.phase == ACTION_PHASE_FAILED
    assert end.event.error_info == ErrorInfo(code="ValueError", message="no good", kind=ErrorInfo.KIND_USER)
    assert not end.recoverable


async def test_a_recoverable_system_error_document_is_reported_as_that(
    stub: StubControlPlane, action: str, tmp_path: Path
) -> None:
    path = error_document(
        tmp_path, code="Lost", message="disk", kind=ContainerError.RECOVERABLE, origin=ExecutionError.SYSTEM
    )
    stub.grant(action, shell_task(f'{OUT} cp "$1" "$out/error.pb"; exit 1', path))

    (end,) = await stub.ended(action)

    assert (end.event.error_info.kind, end.recoverable) == (ErrorInfo.KIND_SYSTEM, True)


@pytest.mark.parametrize(
    ("script", "code", "part"),
    [
        ("echo one; echo two >&2; exit 3", "ExitCode", "exit code 3 and no error.pb; last lines of its log:\none\ntwo"),
        ("kill -KILL $$", "Signal", "signal 9 (SIGKILL)"),
        ("exit 0", "OutputsMissing", "neither outputs.pb nor error.pb"),
        ("exec /nowhere/a0", "ExitCode", "/nowhere/a0"),
    ],
)  # fmt: skip
async def test_an_end_without_documents_is_a_recoverable_system_failure(
    stub: StubControlPlane, action: str, script: str, code: str, part: str
) -> None:
    stub.grant(action, shell_task(script))

    (end,) = await stub.ended(action)

    error = end.event.error_info
    assert (end.event.phase, error.kind, error.code, end.recoverable) == (
        ACTION_PHASE_FAILED,
        ErrorInfo.KIND_SYSTEM,
        code,
        True,
    )
    assert part in error.message


async def test_what_an_earlier_grant_of_the_attempt_left_does_not_decide(stub: StubControlPlane, action: str) -> None:
    left = Path(stub.storage.removeprefix("file://")) / f"runs/r1/{action}/1/error.pb"
    left.parent.mkdir(parents=True)
    left.write_bytes(ErrorDocument(error=ContainerError(code="Old", message="old")).SerializeToString())

    stub.grant(action, shell_task(SUCCEED), epoch=2)

    assert (await stub.ended(action))[0].event.phase == ACTION_PHASE_SUCCEEDED


async def test_the_message_of_a_failure_ends_with_the_last_lines_and_has_at_most_8_kib(
    stub: StubControlPlane, action: str
) -> None:
    stub.grant(action, shell_task("i=0; while [ $i -lt 40 ]; do printf '%0900d\\n' $i; i=$((i+1)); done; exit 1"))

    (end,) = await stub.ended(action)

    message = end.event.error_info.message
    assert 8000 < len(message.encode()) <= 8192
    assert message.startswith("the process ended with exit code 1")
    assert message.endswith("00039")


async def test_a_task_without_a_command_is_refused_for_good(stub: StubControlPlane, action: str) -> None:
    stub.grant(action, TaskSpec(task_template=TaskTemplate(type="spark", container=Container(image="x"))))

    (end,) = await stub.ended(action)

    assert (end.event.error_info.code, end.recoverable) == ("UnsupportedTask", False)
    assert stub.phases(action) == [ACTION_PHASE_FAILED]


async def test_an_abort_ends_the_grandchildren_too(stub: StubControlPlane, action: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = 'trap "" TERM; sh -c \'trap "" TERM; echo $$ >> "$0"; sleep 60\' "$1" & echo $$ >> "$1"; wait; sleep 60'
    stub.grant(action, shell_task(script, str(pids)))
    running = [int(pid) for pid in await read_when_there(pids, lines=2)]

    stub.abort(action)
    (end,) = await stub.ended(action)

    assert end.event.phase == ACTION_PHASE_ABORTED
    await gone(running)


async def test_aborts_of_what_never_ran_or_is_over_are_acknowledged(stub: StubControlPlane, action: str) -> None:
    stub.abort(f"{action}-never")
    assert (await stub.ended(f"{action}-never"))[0].event.phase == ACTION_PHASE_ABORTED

    stub.grant(action, shell_task(SUCCEED))
    await stub.ended(action)
    before = len(stub.received)
    while len(stub.received) == before:  # as long as its end waits for the acknowledgement, that says it all
        stub.abort(action)
        await asyncio.sleep(0.1)

    assert stub.phases(action)[-1] == ACTION_PHASE_SUCCEEDED


async def test_an_attempt_that_waits_for_a_slot_can_be_aborted(stub: StubControlPlane, action: str) -> None:
    first, second = f"{action}-1", f"{action}-2"
    stub.grant(first, shell_task("sleep 30"))
    stub.grant(second, shell_task("sleep 30"))
    await stub.until(lambda: stub.phases(first) == [ACTION_PHASE_RUNNING])

    stub.abort(second)
    await stub.ended(second)

    assert stub.phases(second) == [ACTION_PHASE_ABORTED]
    stub.abort(first)
    await stub.ended(first)


async def test_attempts_start_in_grant_order_when_slots_are_few(
    stub: StubControlPlane, action: str, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    names = [f"{action}-{i}" for i in range(5)]

    for name in names:
        stub.grant(name, shell_task(f'echo {name} >> "$1"; {SUCCEED}', str(order)))
    await stub.ended(*names)

    assert order.read_text().split() == names


async def test_a_tree_deeper_than_the_slots_completes(stub: StubControlPlane, action: str, tmp_path: Path) -> None:
    """Each action waits for a file that only its child writes: without the slot rule the second could never start."""
    names = [f"{action}-{level}" for level in range(5)]

    for parent, name, child in zip(["", *names], names, [*names[1:], ""], strict=False):
        waits = f'while [ ! -e "$1/{child}" ]; do sleep 0.05; done; ' if child else ""
        stub.grant(name, shell_task(f'{waits}: > "$1/{name}"; {SUCCEED}', str(tmp_path)), parent=parent)
        await stub.until(lambda name=name: bool(stub.phases(name)))

    assert {end.event.phase for end in await stub.ended(*names)} == {ACTION_PHASE_SUCCEEDED}


def core_sleep(stub: StubControlPlane, action: str, seconds: float) -> None:
    duration = Duration()
    duration.FromMilliseconds(int(seconds * 1000))
    literal = Literal(scalar=Scalar(primitive=Primitive(duration=duration)))
    path = Path(stub.storage.removeprefix("file://")) / "runs/r1" / action / "inputs.pb"
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(literals=[NamedLiteral(name="duration", value=literal)])
    path.write_bytes(inputs.SerializeToString())
    stub.grant(action, shell_task("exit 9", task_type="core-sleep"), parent="a0")


async def test_core_sleep_needs_no_process_and_a_zero_sleep_reports_once(stub: StubControlPlane, action: str) -> None:
    core_sleep(stub, f"{action}-zero", 0)
    core_sleep(stub, f"{action}-short", 0.6)

    zero, short = await stub.ended(f"{action}-zero", f"{action}-short")

    assert stub.phases(f"{action}-zero") == [ACTION_PHASE_SUCCEEDED]
    assert stub.phases(f"{action}-short") == [ACTION_PHASE_RUNNING, ACTION_PHASE_SUCCEEDED]
    assert (short.event.end_time.ToDatetime() - short.event.start_time.ToDatetime()).total_seconds() >= 0.6
    assert not zero.event.log_info


async def test_many_sleeps_do_not_wait_for_slots(stub: StubControlPlane, action: str) -> None:
    names = [f"{action}-{i}" for i in range(300)]

    for name in names:
        core_sleep(stub, name, 1)
    ends = await stub.ended(*names, within=10)

    assert {end.event.phase for end in ends} == {ACTION_PHASE_SUCCEEDED}


async def test_core_sleep_without_inputs_fails_for_good(stub: StubControlPlane, action: str) -> None:
    stub.grant(action, shell_task("exit 9", task_type="core-sleep"))

    (end,) = await stub.ended(action)

    assert (end.event.error_info.code, end.recoverable) == ("InputsMissing", False)
