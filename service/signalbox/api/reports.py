"""From the cluster link's reports to those that are applied, one by one: a malformed one concerns no neighbour.

The end of an attempt is never lost. If it cannot be kept as it was told, but says of what it is, the attempt has
failed: else its cluster would forget it, and the action would run for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flyteidl2.workflow import run_definition_pb2

from signalbox.api import wire
from signalbox.api.interceptors import validate
from signalbox.control.batch import Batch
from signalbox.control.reports import Report
from signalbox.errors import Invalid, SignalboxError
from signalbox.ids import ClusterKey
from signalbox.log import logger
from signalbox.metrics import REPORTS
from signalbox.op import Op
from signalbox.rules import texts
from signalbox.rules.phases import REPORTABLE, TERMINAL, Phase, Verdict
from signalbox_wire.cluster.v1 import cluster_pb2 as pb

_OUTCOMES = {
    Verdict.ACCEPTED: pb.OUTCOME_ACCEPTED,
    Verdict.DUPLICATE: pb.OUTCOME_DUPLICATE,
    Verdict.STALE_EPOCH: pb.OUTCOME_STALE_EPOCH,
    Verdict.TERMINAL_ALREADY: pb.OUTCOME_TERMINAL_ALREADY,
    Verdict.UNKNOWN_ACTION: pb.OUTCOME_UNKNOWN_ACTION,
    Verdict.INVALID: pb.OUTCOME_INVALID,
}
_MOST_CLUSTER_EVENTS = 100  # of one report: more is a cluster's mistake
_MOST_LOGS = 20
_LARGEST_ATTEMPT, _LARGEST_EPOCH = 2**31 - 1, 2**63 - 1
_log = logger("api")


async def take(
    op: Op, cluster: ClusterKey, reports: Sequence[pb.AttemptReport], batch: Batch[Report, Verdict], *, error_limit: int
) -> pb.ReportResponse:
    """What became of each, in order. Raises what is no report's own fault: then all of them are to be sent again."""
    problems: dict[int, Invalid] = {}
    parsed: dict[int, Report] = {}
    for place, report in enumerate(reports):
        try:
            validate(report)
            parsed[place] = _report(op, cluster, report, error_limit)
        except Invalid as e:
            problems[place] = e
    verdicts = await _submit(batch, parsed, problems)
    ends = {place: end for place, e in problems.items() if (end := _malformed(op, cluster, reports[place], e))}
    counts_no_more = await _submit(batch, ends, {})
    for place, problem in problems.items():
        _record(cluster, reports[place], problem, ended=place in ends)
        verdict = counts_no_more.get(place, Verdict.INVALID)
        verdicts[place] = verdict if verdict in (Verdict.STALE_EPOCH, Verdict.UNKNOWN_ACTION) else Verdict.INVALID
    return pb.ReportResponse(
        outcomes=[_OUTCOMES[verdicts[place]] for place in range(len(reports))],
        reasons=[problems[place].public if place in problems else "" for place in range(len(reports))],
        session_current=True,
    )


async def _submit(
    batch: Batch[Report, Verdict], reports: dict[int, Report], problems: dict[int, Invalid]
) -> dict[int, Verdict]:
    """Verdicts by place; what cannot be kept goes to `problems`."""
    verdicts: dict[int, Verdict] = {}
    for place, result in zip(reports, await batch.submit_all(list(reports.values())), strict=True):
        match result:
            case Invalid():
                problems[place] = result
            case SignalboxError():
                raise result
            case _:
                verdicts[place] = result
    return verdicts


def _report(op: Op, cluster: ClusterKey, report: pb.AttemptReport, error_limit: int) -> Report:
    event = report.event
    phase = wire.phase(event.phase, what="event.phase")
    if phase not in REPORTABLE:
        raise Invalid(f"event.phase: one that a cluster reports, got {phase}")
    error = None
    if event.HasField("error_info"):
        error = wire.cut_error(event.error_info, error_limit).SerializeToString()
    at = event.end_time if event.HasField("end_time") else event.updated_time
    return _of(op, cluster, report, phase)._replace(
        at=wire.moment(at) if at.ByteSize() else op.now,
        started_at=wire.moment(event.start_time) if event.HasField("start_time") else None,
        output_uri=wire.text(event.outputs.output_uri, what="event.outputs.output_uri", longest=texts.URI) or None,
        error=error,
        error_system=event.error_info.kind == run_definition_pb2.ErrorInfo.KIND_SYSTEM,
        recoverable=report.recoverable,
        log=_log_of(event),
        cluster_events=[_cluster_event(op, e) for e in event.cluster_events[:_MOST_CLUSTER_EVENTS]],
    )


def _of(op: Op, cluster: ClusterKey, report: pb.AttemptReport, phase: Phase) -> Report:
    """That the attempt is in this phase now, and nothing else. Raises Invalid unless it says of which attempt."""
    event = report.event
    if not 1 <= event.attempt <= _LARGEST_ATTEMPT or report.epoch > _LARGEST_EPOCH:
        raise Invalid(f"event.attempt, epoch: of a grant, got {event.attempt} and {report.epoch}")
    return Report(
        key=wire.action_key(event.id, what="event.id"),
        cluster=cluster,
        attempt=event.attempt,
        epoch=report.epoch,
        phase=phase,
        at=op.now,
        started_at=None,
        output_uri=None,
        error=None,
        error_system=False,
        recoverable=False,
        log=None,
    )


def _malformed(op: Op, cluster: ClusterKey, report: pb.AttemptReport, problem: Invalid) -> Report | None:
    """What is applied instead of an end that cannot be kept; None when it is no end, or does not say of what."""
    try:
        phase = wire.phase(report.event.phase)
        failed = _of(op, cluster, report, Phase.FAILED)
    except Invalid:
        return None
    if phase not in TERMINAL:
        return None
    error = run_definition_pb2.ErrorInfo(
        kind=run_definition_pb2.ErrorInfo.KIND_SYSTEM,
        code="MalformedReport",
        message=texts.cut(
            f"cluster {cluster.cluster} told that it {phase}, malformed: {problem.message}", texts.REASON
        ),
    )
    return failed._replace(error=error.SerializeToString(), error_system=True)


def _record(cluster: ClusterKey, report: pb.AttemptReport, problem: Invalid, *, ended: bool) -> None:
    """For the operator of the cluster: ids and the reason, no payload."""
    REPORTS.labels(Verdict.INVALID).inc()
    _log.warning(
        "report_invalid",
        cluster=str(cluster),
        run=texts.cut(report.event.id.run.name, texts.NAME),
        action=texts.cut(report.event.id.name, texts.NAME),
        attempt=report.event.attempt,
        epoch=report.epoch,
        phase=report.event.phase,
        reason=problem.message,
        detail=problem.detail,
        ended=ended,
    )


def _log_of(event: run_definition_pb2.ActionEvent) -> bytes | None:
    """Where its log is. What no log of an attempt is like is left out: no attempt fails for that."""
    if not event.log_info and not event.HasField("log_context"):
        return None
    kept = run_definition_pb2.ActionEvent(
        log_info=[each for each in event.log_info[:_MOST_LOGS] if each.ByteSize() <= texts.URI]
    )
    if event.HasField("log_context") and event.log_context.ByteSize() <= texts.URI:
        kept.log_context.CopyFrom(event.log_context)
    return kept.SerializeToString() or None


def _cluster_event(op: Op, event: run_definition_pb2.ClusterEvent) -> tuple[datetime, bytes]:
    at = wire.moment(event.occurred_at) if event.HasField("occurred_at") else op.now
    return at, wire.cut_event(event).SerializeToString(deterministic=True)
