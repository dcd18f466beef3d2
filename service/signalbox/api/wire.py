"""Names, phases, times and identities: between Flyte's messages and the product's own types.

Every member of `Phase` has exactly one `ActionPhase`; the round trip over all of them is tested, so that a phase that
is renumbered or added upstream is noticed. What comes from outside is parsed here: it raises Invalid, naming the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from flyteidl2.common import identifier_pb2, identity_pb2, phase_pb2
from flyteidl2.core import catalog_pb2
from flyteidl2.task import run_pb2, task_definition_pb2
from flyteidl2.workflow import run_definition_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from signalbox import ids
from signalbox.control.run_views import ActionView
from signalbox.errors import Invalid
from signalbox.ids import ActionKey, RunKey, ScopeKey, TaskKey
from signalbox.op import Kind
from signalbox.rules import texts
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.store import actions
from signalbox.store.run_views import ActionRow

_PHASES: dict[Phase, phase_pb2.ActionPhase] = {
    Phase.QUEUED: phase_pb2.ACTION_PHASE_QUEUED,
    Phase.WAITING_FOR_RESOURCES: phase_pb2.ACTION_PHASE_WAITING_FOR_RESOURCES,
    Phase.INITIALIZING: phase_pb2.ACTION_PHASE_INITIALIZING,
    Phase.RUNNING: phase_pb2.ACTION_PHASE_RUNNING,
    Phase.PAUSED: phase_pb2.ACTION_PHASE_PAUSED,
    Phase.SUCCEEDED: phase_pb2.ACTION_PHASE_SUCCEEDED,
    Phase.FAILED: phase_pb2.ACTION_PHASE_FAILED,
    Phase.ABORTED: phase_pb2.ACTION_PHASE_ABORTED,
    Phase.TIMED_OUT: phase_pb2.ACTION_PHASE_TIMED_OUT,
    Phase.RECOVERED: phase_pb2.ACTION_PHASE_RECOVERED,
}
_PHASE_OF: dict[int, Phase] = {number: phase for phase, number in _PHASES.items()}

ACTION_TYPES: dict[actions.Kind, run_definition_pb2.ActionType] = {
    actions.Kind.TASK: run_definition_pb2.ACTION_TYPE_TASK,
    actions.Kind.TRACE: run_definition_pb2.ACTION_TYPE_TRACE,
    actions.Kind.CONDITION: run_definition_pb2.ACTION_TYPE_CONDITION,
}


CACHE_STATUSES: dict[CacheStatus, catalog_pb2.CatalogCacheStatus] = {
    CacheStatus.DISABLED: catalog_pb2.CACHE_DISABLED,
    CacheStatus.MISS: catalog_pb2.CACHE_MISS,
    CacheStatus.HIT: catalog_pb2.CACHE_HIT,
    CacheStatus.POPULATED: catalog_pb2.CACHE_POPULATED,
    CacheStatus.LOOKUP_FAILURE: catalog_pb2.CACHE_LOOKUP_FAILURE,
    CacheStatus.PUT_FAILURE: catalog_pb2.CACHE_PUT_FAILURE,
    CacheStatus.SKIPPED: catalog_pb2.CACHE_SKIPPED,
    CacheStatus.EVICTED: catalog_pb2.CACHE_EVICTED,
}


def action_phase(phase: Phase) -> phase_pb2.ActionPhase:
    return _PHASES[phase]


def phase(number: int, *, what: str = "phase") -> Phase:
    """The phase of a number on the wire. Raises Invalid for the unspecified and for unknown ones."""
    known = _PHASE_OF.get(number)
    if known is None:
        raise Invalid(f"{what}: a phase of Flyte is a number from 1 to {max(_PHASE_OF)}, got {number}")
    return known


def timestamp(at: datetime) -> Timestamp:
    """To the microsecond; `at` is aware."""
    message = Timestamp()
    message.FromDatetime(at.astimezone(UTC))
    return message


def moment(message: Timestamp) -> datetime:
    """Aware, in UTC. Raises Invalid for what is no time between the years 1 and 9999."""
    try:
        return message.ToDatetime(UTC)
    except (OverflowError, ValueError) as e:
        raise Invalid(f"a timestamp is out of range, got {message.seconds} s and {message.nanos} ns") from e


def scope_key(org: str, project: str, domain: str) -> ScopeKey:
    return ScopeKey(
        ids.name(org, what="org"),
        ids.name(project, what="project"),
        ids.name(domain, what="domain"),
    )


def run_key(message: identifier_pb2.RunIdentifier, *, what: str = "run_id") -> RunKey:
    return RunKey(
        ids.name(message.org, what=f"{what}.org"),
        ids.name(message.project, what=f"{what}.project"),
        ids.name(message.domain, what=f"{what}.domain"),
        ids.name(message.name, what=f"{what}.name"),
    )


def run_id(key: RunKey) -> identifier_pb2.RunIdentifier:
    return identifier_pb2.RunIdentifier(org=key.org, project=key.project, domain=key.domain, name=key.run)


def action_key(message: identifier_pb2.ActionIdentifier, *, what: str = "action_id") -> ActionKey:
    run = run_key(message.run, what=f"{what}.run")
    return ActionKey(*run, ids.name(message.name, what=f"{what}.name"))


def action_id(key: ActionKey) -> identifier_pb2.ActionIdentifier:
    return identifier_pb2.ActionIdentifier(run=run_id(key.run_key), name=key.action)


def task_key(message: task_definition_pb2.TaskIdentifier, *, what: str = "task_id") -> TaskKey:
    return TaskKey(
        ids.name(message.org, what=f"{what}.org"),
        ids.name(message.project, what=f"{what}.project"),
        ids.name(message.domain, what=f"{what}.domain"),
        ids.task_name(message.name, what=f"{what}.name"),
        ids.task_name(message.version, what=f"{what}.version"),
    )


def task_id(key: TaskKey) -> task_definition_pb2.TaskIdentifier:
    return task_definition_pb2.TaskIdentifier(
        org=key.org, project=key.project, domain=key.domain, name=key.name, version=key.version
    )


def identity(principal: str) -> identity_pb2.EnrichedIdentity:
    """Who a stored principal (`user:<subject>`, `cluster:<key>`, ...) is; what is not a user is an application."""
    kind, colon, subject = principal.partition(":")
    if colon and kind == Kind.USER:
        return identity_pb2.EnrichedIdentity(
            user=identity_pb2.User(
                id=identifier_pb2.UserIdentifier(subject=subject),
                spec=identity_pb2.UserSpec(user_handle=subject),
            )
        )
    return identity_pb2.EnrichedIdentity(
        application=identity_pb2.Application(
            id=identifier_pb2.ApplicationIdentifier(subject=subject or principal),
            spec=identity_pb2.AppSpec(name=subject or principal),
        )
    )


def cut_error(error: run_definition_pb2.ErrorInfo, limit: int) -> run_definition_pb2.ErrorInfo:
    """The error with a message of at most `limit` bytes, before a note on what was cut."""
    message, code = texts.cut(error.message, limit), texts.cut(error.code, texts.NAME)
    if (message, code) == (error.message, error.code):
        return error
    cut = run_definition_pb2.ErrorInfo()
    cut.CopyFrom(error)
    cut.message, cut.code = message, code
    return cut


def cut_event(event: run_definition_pb2.ClusterEvent) -> run_definition_pb2.ClusterEvent:
    """The event with texts of bounded length."""
    message = texts.cut(event.message, texts.REASON)
    words = [texts.cut(word, texts.NAME) for word in (event.reason, event.source_component)]
    if [message, *words] == [event.message, event.reason, event.source_component]:
        return event
    cut = run_definition_pb2.ClusterEvent()
    cut.CopyFrom(event)
    cut.message, (cut.reason, cut.source_component) = message, words
    return cut


def reason(value: str) -> str:
    """Why somebody wants something, as it is kept and told."""
    return texts.cut(value, texts.REASON)


def definition(body: bytes, *, what: str) -> bytes:
    """The serialized definition, if it is not too large. Raises Invalid, naming `what`."""
    if len(body) > texts.DEFINITION:
        raise Invalid(f"{what}: at most {texts.DEFINITION} bytes, got {len(body)}")
    return body


def labels(values: Mapping[str, str], *, what: str) -> dict[str, str]:
    """Raises Invalid for too many labels and for too long ones, naming `what`."""
    if len(values) > texts.LABELS:
        raise Invalid(f"{what}: at most {texts.LABELS} labels, got {len(values)}")
    for word in (*values.keys(), *values.values()):
        text(word, what=what, longest=texts.NAME)
    return dict(values)


def text(value: str, *, what: str, longest: int) -> str:
    """The value, if it is not too long to be one. Raises Invalid, naming `what`."""
    if problem := texts.problem(value, longest=longest):
        raise Invalid(f"{what}: {problem}")
    return value


def run(view: ActionView) -> run_definition_pb2.Run:
    """A run as lists show it: its root action and its labels."""
    return run_definition_pb2.Run(action=action(view), labels=view.row.labels or {})


def action(view: ActionView) -> run_definition_pb2.Action:
    return run_definition_pb2.Action(
        id=action_id(view.row.key), metadata=action_metadata(view), status=action_status(view.row)
    )


def enriched_action(
    view: ActionView, children: Mapping[Phase, int], *, meets_filter: bool
) -> run_definition_pb2.EnrichedAction:
    return run_definition_pb2.EnrichedAction(
        action=action(view),
        meets_filter=meets_filter,
        children_phase_counts={int(action_phase(phase)): count for phase, count in children.items()},
    )


def action_status(row: ActionRow) -> run_definition_pb2.ActionStatus:
    """Times of the action as a whole, over all attempts, from when it was asked for."""
    status = run_definition_pb2.ActionStatus(
        phase=action_phase(row.phase),
        start_time=timestamp(_began(row)),
        attempts=row.attempt,
        cache_status=CACHE_STATUSES[row.cache_status],
    )
    if row.ended_at is not None:
        status.end_time.CopyFrom(timestamp(row.ended_at))
        status.duration_ms = max(0, round((row.ended_at - _began(row)).total_seconds() * 1000))
    return status


def action_metadata(view: ActionView) -> run_definition_pb2.ActionMetadata:
    row = view.row
    metadata = run_definition_pb2.ActionMetadata(
        parent=row.parent,
        group=row.group_name,
        executed_by=identity(row.created_by),
        action_type=ACTION_TYPES[row.kind],
        environment_name=row.environment,
        funtion_name=row.short_name,  # spelled so upstream
        source=cast("run_definition_pb2.RunSource", row.source),
    )
    match row.kind:
        case actions.Kind.TASK:
            task = run_definition_pb2.TaskAction.FromString(row.definition)
            metadata.task.id.CopyFrom(task.id)
            metadata.task.task_type = view.task_type
            metadata.task.short_name = row.short_name
            if task.queue:
                metadata.task.queue = task.queue
        case actions.Kind.TRACE:
            metadata.trace.name = row.short_name
        case actions.Kind.CONDITION:
            condition = run_definition_pb2.ConditionAction.FromString(row.definition)
            metadata.condition.name = condition.name
            metadata.condition.type.CopyFrom(condition.type)
    if row.run_spec is not None:
        run_spec = run_pb2.RunSpec.FromString(row.run_spec)
        if run_spec.HasField("relation"):
            metadata.relation.CopyFrom(run_spec.relation)
    if row.recovered_from:
        project, domain, run = row.recovered_from.split("/")
        metadata.recovered_from.CopyFrom(action_id(ActionKey(row.org, project, domain, run, row.name)))
    return metadata


def _began(row: ActionRow) -> datetime:
    """A trace is told of when it is over: its start is what it says. All else begins when it is asked for."""
    if row.kind is actions.Kind.TRACE and row.started_at is not None:
        return row.started_at
    return row.created_at
