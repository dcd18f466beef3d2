"""What is reported of an attempt: the Flyte event of its start and of its end."""

from __future__ import annotations

from datetime import datetime

from flyteidl2.common.phase_pb2 import (
    ACTION_PHASE_ABORTED,
    ACTION_PHASE_FAILED,
    ACTION_PHASE_RUNNING,
    ACTION_PHASE_SUCCEEDED,
    ActionPhase,
)
from flyteidl2.core.execution_pb2 import ContainerContext, LogContext, PodLogContext, TaskLog
from flyteidl2.task.common_pb2 import OutputReferences
from flyteidl2.workflow.run_definition_pb2 import ActionEvent, ClusterEvent
from google.protobuf.timestamp_pb2 import Timestamp

from signalbox_dataplane.executor import LOG_NAME, Attempt, Outcome, Started, utc_now
from signalbox_dataplane.store import join
from signalbox_wire.cluster.v1.cluster_pb2 import AttemptRef, AttemptReport

CONTAINER = "main"
LONGEST_MESSAGE = 512
"""Of an event: the error itself carries all of it."""


def running(attempt: Attempt, started: Started, cluster: str) -> AttemptReport:
    event = _event(attempt.grant.ref, ACTION_PHASE_RUNNING, cluster, started.at, version=0)
    _place(event, attempt, has_log=started.has_log)
    if started.what:
        _tell(event, "Started", f"{started.what} started")
    return AttemptReport(epoch=attempt.key.epoch, event=event)


def ended(attempt: Attempt, outcome: Outcome, started_at: datetime | None, cluster: str) -> AttemptReport:
    phase = ACTION_PHASE_FAILED if outcome.error else ACTION_PHASE_SUCCEEDED
    event = _event(attempt.grant.ref, phase, cluster, started_at, version=1)
    event.end_time.CopyFrom(event.updated_time)
    if outcome.error:
        event.error_info.CopyFrom(outcome.error)
    _place(event, attempt, has_log=outcome.has_log)
    if outcome.has_log:
        if outcome.error:
            _tell(event, "Failed", f"{outcome.error.code}: {outcome.error.message}"[:LONGEST_MESSAGE], warning=True)
        else:
            _tell(event, "Completed", "the task's outputs are written")
    return AttemptReport(epoch=attempt.key.epoch, event=event, recoverable=outcome.recoverable)


def aborted(ref: AttemptRef, started_at: datetime | None, cluster: str, *, reason: str = "") -> AttemptReport:
    """Also of an attempt that is not known here: nothing of it runs."""
    event = _event(ref, ACTION_PHASE_ABORTED, cluster, started_at, version=1)
    event.end_time.CopyFrom(event.updated_time)
    if started_at:
        _tell(event, "Killed", f"stopped: {reason}" if reason else "stopped", warning=True)
    return AttemptReport(epoch=ref.epoch, event=event)


def _event(
    ref: AttemptRef, phase: ActionPhase, cluster: str, started_at: datetime | None, *, version: int
) -> ActionEvent:
    now = Timestamp()
    now.FromDatetime(utc_now())
    event = ActionEvent(
        id=ref.action_id,
        attempt=ref.attempt,
        phase=phase,
        version=version,
        updated_time=now,
        reported_time=now,
        cluster=cluster,
    )
    if started_at:
        event.start_time.FromDatetime(started_at)
    return event


def _tell(event: ActionEvent, reason: str, message: str, *, warning: bool = False) -> None:
    """What happened besides the phase, as Kubernetes tells of a pod; it travels with a report that is sent anyway."""
    event.cluster_events.append(
        ClusterEvent(
            occurred_at=event.updated_time,
            type=ClusterEvent.TYPE_WARNING if warning else ClusterEvent.TYPE_NORMAL,
            reason=reason,
            message=message,
            source_component="signalbox-dataplane",
            count=1,
        )
    )


def _place(event: ActionEvent, attempt: Attempt, *, has_log: bool) -> None:
    """Where the attempt's outputs are, and its log if there is one."""
    event.outputs.CopyFrom(OutputReferences(output_uri=attempt.grant.output_uri))
    if not has_log:
        return
    action = attempt.key.action
    name = f"{action.run}-{action.name}-{attempt.key.attempt}"
    pod = PodLogContext(
        namespace=f"{action.project}-{action.domain}",
        pod_name=name,
        primary_container_name=CONTAINER,
        containers=[ContainerContext(container_name=CONTAINER)],
    )
    event.log_context.CopyFrom(LogContext(primary_pod_name=name, pods=[pod]))
    event.log_info.append(TaskLog(name=LOG_NAME, uri=join(attempt.grant.output_uri, LOG_NAME), ready=True))
