"""Reports that a control plane does not take as they are: none is lost, none stops others, none loops for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from flyteidl2.common.phase_pb2 import (
    ACTION_PHASE_FAILED,
    ACTION_PHASE_RUNNING,
    ACTION_PHASE_SUCCEEDED,
    ActionPhase,
)
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo

from signalbox_dataplane.control_plane import ClusterLink
from signalbox_dataplane.link.fence import Fence
from signalbox_dataplane.link.reports import Reports
from signalbox_wire.cluster.v1.cluster_pb2 import AttemptReport, Outcome
from signalbox_wire.connect import Code
from support.stub_control_plane import StubControlPlane, action_id, stub_control_plane

LIMIT = 4 * 1024 * 1024  # of a request, as the service has it by default


class Listening:
    """A session that was leased, and what became of its reports."""

    session_id = "s1"

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, Outcome, str]] = []

    async def leased(self) -> str:
        return self.session_id

    def on_outcome(self, report: AttemptReport, outcome: Outcome, reason: str) -> None:
        self.outcomes.append((report.event.id.name, outcome, reason))

    def on_refused(self) -> None:
        raise AssertionError("the credential is good")

    def on_replaced(self) -> None:
        raise AssertionError("there is no other agent")


@asynccontextmanager
async def sending(stub: StubControlPlane) -> AsyncGenerator[tuple[Reports, Listening]]:
    link, listening = ClusterLink(stub.url), Listening()
    link.credential = "token"
    stub.tokens.append("token")
    stub.sessions.append(listening.session_id)
    reports = Reports(link, Fence(), listening)
    reports.heartbeat = 0.2
    task = asyncio.create_task(reports.send_for_ever())
    try:
        yield reports, listening
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def report(name: str, phase: ActionPhase = ACTION_PHASE_FAILED, *, message: str = "") -> AttemptReport:
    made = AttemptReport(epoch=2**61)
    made.event.id.CopyFrom(action_id(name))
    made.event.attempt, made.event.phase = 1, phase
    made.event.outputs.output_uri = f"s3://bucket/prefix/{name}/1"
    made.event.log_info.add(name="task.log", uri=f"{made.event.outputs.output_uri}/task.log")
    made.event.cluster_events.add(reason="Failed", message=message[:512])
    if phase == ACTION_PHASE_FAILED:
        made.event.error_info.CopyFrom(ErrorInfo(kind=ErrorInfo.KIND_USER, code="E", message=message))
    return made


async def test_a_batch_is_cut_by_what_it_weighs(tmp_path: Path) -> None:
    """A1: 500 reports with 8 KiB of error each are above the service's limit for a request."""
    async with stub_control_plane(f"file://{tmp_path}", request_limit=LIMIT) as stub, sending(stub) as (reports, _):
        sent = [report(f"c{number}", message="x" * 8192) for number in range(500)]
        assert sum(each.ByteSize() for each in sent) > LIMIT
        for each in sent:
            reports.add(each)

        await stub.until(lambda: len(stub.terminal) == 500, within=10)
        await asyncio.wait_for(reports.flushed(), 5)

    assert max(stub.batches) * 8192 < 1024 * 1024
    assert len(stub.received) == 500, "each once"


async def test_an_error_of_10_mb_is_kept_short_and_its_neighbour_whole(tmp_path: Path) -> None:
    async with stub_control_plane(f"file://{tmp_path}", request_limit=64 * 1024) as stub, sending(stub) as (reports, _):
        reports.add(report("huge", message="x" * 10_000_000))
        reports.add(report("good", message="y" * 8192))

        huge, good = await stub.ended("huge", "good")

    assert huge.event.phase == ACTION_PHASE_FAILED
    assert huge.event.error_info.message.endswith("xxx")
    assert huge.ByteSize() < 2048
    assert len(good.event.error_info.message) == 8192


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT, Code.INTERNAL])
async def test_a_report_that_is_refused_stops_no_other_and_no_heartbeat(tmp_path: Path, code: Code) -> None:
    async with stub_control_plane(f"file://{tmp_path}") as stub, sending(stub) as (reports, _):
        stub.refusals["bad"] = code
        for name in ("a", "b", "bad", "c", "d"):
            reports.add(report(name))

        await stub.ended("a", "b", "c", "d")
        taken = len(stub.batches)
        await stub.until(lambda: len(stub.batches) > taken + 2)
        assert "bad" not in {key[0] for key in stub.terminal}

        stub.refusals.clear()
        await stub.ended("bad")
        await asyncio.wait_for(reports.flushed(), 5)


async def test_an_overloaded_control_plane_gets_the_same_report_later(tmp_path: Path) -> None:
    async with stub_control_plane(f"file://{tmp_path}") as stub, sending(stub) as (reports, _):
        stub.refusals["c1"] = Code.RESOURCE_EXHAUSTED
        whole = report("c1", ACTION_PHASE_SUCCEEDED)
        reports.add(whole)
        await asyncio.sleep(1)

        stub.refusals.clear()
        (end,) = await stub.ended("c1")

    assert end == whole


async def test_the_end_of_an_attempt_that_is_refused_for_what_is_in_it_is_told_bare(tmp_path: Path) -> None:
    async with stub_control_plane(f"file://{tmp_path}") as stub, sending(stub) as (reports, listening):
        stub.refuses = lambda report: bool(report.event.outputs.output_uri)
        reports.add(report("c1", ACTION_PHASE_RUNNING))
        reports.add(report("c2", ACTION_PHASE_SUCCEEDED))

        (end,) = await stub.ended("c2")
        await asyncio.wait_for(reports.flushed(), 5)

    assert (end.event.phase, end.event.outputs.output_uri) == (ACTION_PHASE_SUCCEEDED, "")
    assert stub.phases("c1") == [ACTION_PHASE_RUNNING]
    assert sorted(name for name, *_ in listening.outcomes) == ["c1", "c2"]


async def test_an_end_that_is_refused_in_any_form_fails_in_words_and_a_beginning_is_left_out(tmp_path: Path) -> None:
    async with stub_control_plane(f"file://{tmp_path}") as stub, sending(stub) as (reports, listening):
        stub.refuses = lambda report: report.event.phase != ACTION_PHASE_FAILED
        reports.add(report("c1", ACTION_PHASE_RUNNING))
        reports.add(report("c2", ACTION_PHASE_SUCCEEDED))

        (end,) = await stub.ended("c2")
        await asyncio.wait_for(reports.flushed(), 5)

    assert (end.event.phase, end.event.error_info.code) == (ACTION_PHASE_FAILED, "ReportRefused")
    assert end.event.error_info.message == (
        "the attempt ended SUCCEEDED, and the control plane refused to take that: no c2"
    )
    assert [name for name, *_ in listening.outcomes] == ["c2"]


async def test_the_agent_hears_why_a_report_is_invalid(tmp_path: Path) -> None:
    async with stub_control_plane(f"file://{tmp_path}") as stub, sending(stub) as (reports, listening):
        stub.outcomes["c1", 1, 2**61] = Outcome.OUTCOME_INVALID
        stub.reasons = ["output_uri: holds a NUL byte"]
        reports.add(report("c1"))
        await asyncio.wait_for(reports.flushed(), 5)

    assert listening.outcomes == [("c1", Outcome.OUTCOME_INVALID, "output_uri: holds a NUL byte")]
