"""One action in full, as its message: result, spec, and the attempts with their history.

Phase and attempts of a message are of the same moment: the SDK reads the error from the last attempt right behind a
terminal phase.
"""

from __future__ import annotations

from collections.abc import Sequence

from flyteidl2.task import common_pb2, run_pb2, task_definition_pb2
from flyteidl2.workflow import run_definition_pb2

from signalbox.api import wire
from signalbox.control.run_views import Details
from signalbox.rules import names
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.store.action_details import Attempt, Entered, Uris
from signalbox.store.actions import Kind


def run_details(details: Details) -> run_definition_pb2.RunDetails:
    """Of the details of a run's root."""
    return run_definition_pb2.RunDetails(
        run_spec=run_pb2.RunSpec.FromString(details.rest.run_spec), action=action_details(details)
    )


def action_details(details: Details) -> run_definition_pb2.ActionDetails:
    row = details.action.row
    message = run_definition_pb2.ActionDetails(
        id=wire.action_id(row.key),
        metadata=wire.action_metadata(details.action),
        status=wire.action_status(row),
        attempts=[_attempt(details, attempt) for attempt in details.attempts],
    )
    _set_result(message, details)
    match row.kind:
        case Kind.TASK:
            message.task.CopyFrom(task_definition_pb2.TaskSpec.FromString(details.rest.spec or b""))
        case Kind.TRACE:
            message.trace.CopyFrom(run_definition_pb2.TraceAction.FromString(row.definition).spec)
        case Kind.CONDITION:
            message.condition.ParseFromString(row.definition)
    return message


def outputs_uri(uris: Uris) -> str:
    """Full path of the outputs, empty before there are any. Stored is what the runtime is told: a task's folder."""
    if uris.kind is Kind.TASK and uris.output_uri:
        return names.outputs_file(uris.output_uri)
    return uris.output_uri


def _set_result(message: run_definition_pb2.ActionDetails, details: Details) -> None:
    error = details.attempts[-1].error
    if details.rest.value is not None:
        message.signal_info.signalled_by.CopyFrom(wire.identity(details.rest.signalled_by))
        message.signal_info.output.ParseFromString(details.rest.value)
        return
    match details.action.row.phase:
        case Phase.ABORTED:
            message.abort_info.reason = details.rest.abort_reason
            message.abort_info.aborted_by.CopyFrom(wire.identity(details.rest.aborted_by))
        case Phase.FAILED | Phase.TIMED_OUT if error is not None:
            message.error_info.CopyFrom(run_definition_pb2.ErrorInfo.FromString(error))
        case _:
            pass


def _attempt(details: Details, attempt: Attempt) -> run_definition_pb2.ActionAttempt:
    log = run_definition_pb2.ActionEvent.FromString(attempt.log or b"")
    message = run_definition_pb2.ActionAttempt(
        phase=wire.action_phase(attempt.phase),
        start_time=wire.timestamp(attempt.started_at or attempt.queued_at),
        attempt=attempt.attempt,
        log_info=log.log_info,
        logs_available=attempt.log is not None,
        phase_transitions=_transitions([e for e in details.history if e.attempt == attempt.attempt]),
        cluster=attempt.cluster,
        cluster_events=[
            run_definition_pb2.ClusterEvent.FromString(event.body)
            for event in details.cluster_events
            if event.attempt == attempt.attempt
        ],
        cache_status=wire.CACHE_STATUSES[details.action.row.cache_status],
    )
    if log.HasField("log_context"):
        message.log_context.CopyFrom(log.log_context)
    if attempt.ended_at is not None:
        message.end_time.CopyFrom(wire.timestamp(attempt.ended_at))
    if attempt.error is not None:
        message.error_info.CopyFrom(run_definition_pb2.ErrorInfo.FromString(attempt.error))
    uri = outputs_uri(Uris(kind=details.action.row.kind, input_uri="", output_uri=attempt.output_uri))
    if uri:
        message.outputs.CopyFrom(common_pb2.OutputReferences(output_uri=uri))
    return message


def _transitions(history: Sequence[Entered]) -> list[run_definition_pb2.PhaseTransition]:
    """A phase ends where the next begins, and a terminal one where it begins itself.

    Times come from different clocks (the product's and the clusters'): none goes back behind the one before.
    """
    transitions: list[run_definition_pb2.PhaseTransition] = []
    at = history[0].at if history else None
    for entered in history:
        at = max(entered.at, at) if at else entered.at
        if transitions:
            transitions[-1].end_time.CopyFrom(wire.timestamp(at))
        transition = run_definition_pb2.PhaseTransition(
            phase=wire.action_phase(entered.phase), start_time=wire.timestamp(at)
        )
        if entered.phase in TERMINAL:
            transition.end_time.CopyFrom(transition.start_time)
        transitions.append(transition)
    return transitions
