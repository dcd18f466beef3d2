"""What is sent instead of a report that the control plane does not take: the end of an attempt is never lost.

A report is kept small enough for every control plane when it arises. One that is refused for what is in it is first
told bare, then as a failure in words.
"""

from __future__ import annotations

from flyteidl2.common.phase_pb2 import ACTION_PHASE_FAILED, ACTION_PHASE_RUNNING, ActionPhase
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo

from signalbox_dataplane.executor.exit_protocol import cut
from signalbox_wire.cluster.v1.cluster_pb2 import AttemptReport

LARGEST = 48 * 1024
"""Bytes of one report: with its envelope below the smallest request limit that a control plane can be given, 64 KiB."""
_MESSAGE_BYTES = 1024
_CODE_BYTES = 128
_REFUSED = "ReportRefused"


def within_limit(report: AttemptReport) -> AttemptReport:
    """The report, or what matters of it when it is larger than any control plane must take."""
    return report if report.ByteSize() <= LARGEST else _bare(report)


def instead(report: AttemptReport, why: str) -> AttemptReport | None:
    """What to say next of an attempt whose report was refused; None when there is nothing left to try."""
    bare = _bare(report)
    if bare != report:
        return bare
    if report.event.phase == ACTION_PHASE_RUNNING or report.event.error_info.code == _REFUSED:
        return None
    phase = ActionPhase.Name(report.event.phase).removeprefix("ACTION_PHASE_")
    message = f"the attempt ended {phase}, and the control plane refused to take that: {why}"
    bare.event.phase, bare.recoverable = ACTION_PHASE_FAILED, False
    bare.event.error_info.CopyFrom(
        ErrorInfo(kind=ErrorInfo.KIND_SYSTEM, code=_REFUSED, message=_plain(message, _MESSAGE_BYTES))
    )
    return bare


def _bare(report: AttemptReport) -> AttemptReport:
    """Phase, times and a short error: without log, events and outputs, whose folder the control plane knows."""
    event = report.event
    bare = AttemptReport(epoch=report.epoch, recoverable=report.recoverable)
    bare.event.id.CopyFrom(event.id)
    bare.event.attempt, bare.event.phase, bare.event.version = event.attempt, event.phase, event.version
    bare.event.cluster = event.cluster
    for name in ("start_time", "updated_time", "end_time", "reported_time"):
        if event.HasField(name):
            getattr(bare.event, name).CopyFrom(getattr(event, name))
    if event.HasField("error_info"):
        error = event.error_info
        bare.event.error_info.CopyFrom(
            ErrorInfo(
                kind=error.kind, code=_plain(error.code, _CODE_BYTES), message=_plain(error.message, _MESSAGE_BYTES)
            )
        )
    return bare


def _plain(text: str, limit: int) -> str:
    return cut(text.replace("\0", ""), limit)
