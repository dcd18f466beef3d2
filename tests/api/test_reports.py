"""What clusters report, on the wire: phases with their times, ends that cannot be kept, and neighbours of both."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common import phase_pb2
from flyteidl2.workflow import run_definition_pb2, run_service_pb2
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as pb
from support.link import Cluster, a_run, enrolled, report, until
from support.service import service

Change = Callable[[pb.AttemptReport], object]
ERROR = run_definition_pb2.ErrorInfo


@pytest_asyncio.fixture
async def cluster(database_url: str, db: Database) -> AsyncGenerator[Cluster]:
    async with enrolled(database_url, db) as made:
        yield made


@pytest_asyncio.fixture
async def stream(cluster: Cluster) -> AsyncIterator[pb.LeaseResponse]:
    made = cluster.lease()
    await until(made, "progress")
    return made


async def granted(database_url: str, stream: AsyncIterator[pb.LeaseResponse], *names: str) -> list[pb.Grant]:
    """The roots of runs with these names, in their order."""
    for name in names:
        await a_run(database_url, name, lambda r: setattr(r.task_spec.task_template.metadata.retries, "retries", 3))
    found: dict[str, pb.Grant] = {}
    while len(found) < len(names):
        found |= {grant.ref.action_id.run.name: grant for grant in (await until(stream, "grants")).grants}
    return [found[name] for name in names]


async def details(database_url: str, grant: pb.Grant) -> run_definition_pb2.ActionDetails:
    async with service(database_url) as user:
        request = run_service_pb2.GetActionDetailsRequest(action_id=grant.ref.action_id)
        return (await user.call("workflow.RunService/GetActionDetails", request)).details


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("signalbox_reports_total", {"outcome": outcome}) or 0.0


MALFORMED: list[tuple[Change, str]] = [
    (lambda r: setattr(r.event.outputs, "output_uri", "file:///\0secret"), "output_uri: holds a NUL byte"),
    (lambda r: setattr(r.event.outputs, "output_uri", "x" * 5000), "output_uri: at most 4096 characters, got 5000"),
    (lambda r: setattr(r.event.end_time, "seconds", 2**60), "a timestamp is out of range"),
]


@pytest.mark.parametrize(("change", "said"), MALFORMED)
async def test_an_end_that_cannot_be_kept_is_a_failure_in_words_and_its_neighbour_counts(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse], change: Change, said: str
) -> None:
    """A2: the agent forgets what is answered, and the action would run for ever."""
    bad, good = await granted(database_url, stream, "bad", "good")
    invalid = counted("invalid")

    with capture_logs() as logs:
        answer = await cluster.send(report(bad, "SUCCEEDED", change), report(good, "SUCCEEDED"))

    assert list(answer.outcomes) == [pb.OUTCOME_INVALID, pb.OUTCOME_ACCEPTED]
    assert said in answer.reasons[0]
    assert answer.reasons[1] == ""
    failed = await details(database_url, bad)
    assert (failed.status.phase, failed.status.attempts) == (phase_pb2.ACTION_PHASE_FAILED, 1), "it is not tried again"
    error = failed.attempts[-1].error_info
    assert (error.kind, error.code) == (ERROR.KIND_SYSTEM, "MalformedReport")
    assert error.message.startswith("cluster one told that it succeeded, malformed: ")
    assert said in error.message
    assert (await details(database_url, good)).status.phase == phase_pb2.ACTION_PHASE_SUCCEEDED
    assert counted("invalid") == invalid + 1
    (logged,) = [entry for entry in logs if entry["event"] == "report_invalid"]
    assert (logged["cluster"], logged["run"], logged["attempt"], logged["ended"]) == ("local/one", "bad", 1, True)
    assert "secret" not in str(logged)


async def test_a_phase_that_there_is_not_and_a_malformed_beginning_change_nothing(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    odd, good = await granted(database_url, stream, "odd", "good")

    answer = await cluster.send(
        report(odd, "RUNNING", lambda r: setattr(r.event, "phase", 99)),
        report(odd, "QUEUED"),
        report(odd, "RUNNING", lambda r: setattr(r.event.start_time, "seconds", 2**60)),
        report(good, "RUNNING"),
        pb.AttemptReport(epoch=1),
        report(odd, "SUCCEEDED", lambda r: setattr(r.event.id, "name", "a/0")),
        report(odd, "SUCCEEDED", lambda r: setattr(r.event, "attempt", 2**32 - 1)),
        report(odd, "SUCCEEDED", lambda r: setattr(r, "epoch", 2**64 - 1)),
    )

    assert [pb.Outcome.Name(o).removeprefix("OUTCOME_") for o in answer.outcomes] == [
        *["INVALID"] * 3,
        "ACCEPTED",
        *["INVALID"] * 4,
    ]
    assert answer.reasons[0] == "event.phase: a phase of Flyte is a number from 1 to 10, got 99"
    assert answer.reasons[1] == "event.phase: one that a cluster reports, got queued"
    assert [bool(reason) for reason in answer.reasons] == [True] * 3 + [False] + [True] * 4
    assert (await details(database_url, odd)).status.phase == phase_pb2.ACTION_PHASE_QUEUED
    assert list((await cluster.report(odd, "RUNNING")).outcomes) == [pb.OUTCOME_ACCEPTED]


async def test_a_malformed_end_of_another_clusters_attempt_counts_for_nothing(
    database_url: str, db: Database, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    theirs, ours = await granted(database_url, stream, "theirs", "ours")
    bad = report(theirs, "SUCCEEDED", MALFORMED[0][0])
    async with enrolled(database_url, db, name="two") as other:
        other_stream = other.lease("t1")
        await until(other_stream, "progress")

        refused = await other.send(report(theirs, "SUCCEEDED"), bad, report(ours, "RUNNING", epoch=99), session="t1")

    assert list(refused.outcomes) == [pb.OUTCOME_STALE_EPOCH] * 3
    assert (await details(database_url, theirs)).status.phase == phase_pb2.ACTION_PHASE_QUEUED
    answer = await cluster.send(report(theirs, "RUNNING"), report(ours, "RUNNING"))
    assert list(answer.outcomes) == [pb.OUTCOME_ACCEPTED] * 2


async def test_a_huge_error_is_cut_beside_a_good_neighbour_and_above_the_limit_nothing_is_taken(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    huge, good = await granted(database_url, stream, "huge", "good")

    def error(size: int) -> Change:
        return lambda r: r.event.error_info.CopyFrom(ERROR(message="x" * size, kind=ERROR.KIND_USER, code="c" * 9000))

    with pytest.raises(ConnectError) as refused:
        await cluster.send(report(huge, "FAILED", error(10_000_000)), report(good, "SUCCEEDED"))
    assert refused.value.code is Code.RESOURCE_EXHAUSTED
    answer = await cluster.send(report(huge, "FAILED", error(3_000_000)), report(good, "SUCCEEDED"))

    assert list(answer.outcomes) == [pb.OUTCOME_ACCEPTED] * 2
    kept = (await details(database_url, huge)).attempts[0].error_info
    assert kept.message.endswith("(cut: 3000000 bytes, 8192 are kept)")
    assert kept.code.endswith("(cut: 9000 bytes, 255 are kept)")


async def test_phases_before_running_are_shown_with_their_times_for_each_attempt(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    (first,) = await granted(database_url, stream, "mine")
    said: list[datetime] = []

    def now(r: pb.AttemptReport) -> None:
        """The cluster's time, kept to compare: neither before the attempt was queued nor ahead of the database."""
        r.event.updated_time.GetCurrentTime()
        said.append(r.event.updated_time.ToDatetime(UTC))

    await cluster.send(report(first, "WAITING_FOR_RESOURCES", now))
    await cluster.send(report(first, "INITIALIZING", now))
    late = await cluster.send(report(first, "WAITING_FOR_RESOURCES"))
    assert list(late.outcomes) == [pb.OUTCOME_DUPLICATE]
    await cluster.send(report(first, "RUNNING", now))

    def failed(r: pb.AttemptReport) -> None:
        now(r)
        r.recoverable = True
        r.event.error_info.CopyFrom(ERROR(message="no", kind=ERROR.KIND_USER))

    await cluster.send(report(first, "FAILED", failed))
    (second,) = (await until(stream, "grants")).grants
    assert second.ref.attempt == 2
    await cluster.send(report(second, "INITIALIZING", now))

    shown = (await details(database_url, first)).attempts

    assert [phases(attempt) for attempt in shown] == [
        ["QUEUED", "WAITING_FOR_RESOURCES", "INITIALIZING", "RUNNING", "FAILED"],
        ["QUEUED", "INITIALIZING"],
    ]
    began = [t.start_time.ToDatetime(UTC) for attempt in shown for t in attempt.phase_transitions[1:]]
    assert began == said
    assert shown[0].phase_transitions[1].end_time == shown[0].phase_transitions[2].start_time
    assert shown[1].phase == phase_pb2.ACTION_PHASE_INITIALIZING


def phases(attempt: Any) -> list[str]:
    return [phase_pb2.ActionPhase.Name(t.phase).removeprefix("ACTION_PHASE_") for t in attempt.phase_transitions]


async def test_the_second_attempts_grant_says_where_the_first_one_wrote(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    (first,) = await granted(database_url, stream, "mine")
    assert first.previous_output_uri == ""

    await cluster.send(report(first, "FAILED", lambda r: setattr(r, "recoverable", True)))
    (second,) = (await until(stream, "grants")).grants

    assert second.ref.epoch > first.ref.epoch
    assert second.previous_output_uri == first.output_uri == f"{first.run_output_base}/a0/1"
    assert second.output_uri == f"{first.run_output_base}/a0/2"


async def test_the_events_of_one_report_are_bounded_in_number_and_in_length(
    database_url: str, cluster: Cluster, stream: AsyncIterator[pb.LeaseResponse]
) -> None:
    (grant,) = await granted(database_url, stream, "mine")

    def many(r: pb.AttemptReport) -> None:
        for number in range(150):
            r.event.cluster_events.add(reason=f"r{number}", message="x" * 3000)

    await cluster.send(report(grant, "RUNNING", many))

    shown = (await details(database_url, grant)).attempts[0].cluster_events
    assert [event.reason for event in shown] == [f"r{number}" for number in range(100)]
    assert {event.message[1024:] for event in shown} == {"... (cut: 3000 bytes, 1024 are kept)"}
