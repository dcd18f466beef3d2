"""From Flyte's messages to the row of an action to be: tasks, traces and conditions."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from flyteidl2.core import interface_pb2, types_pb2
from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2
from google.protobuf.duration_pb2 import Duration

from signalbox import ids
from signalbox.api import wire
from signalbox.errors import Invalid
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules import texts
from signalbox.rules.cache import root_key
from signalbox.rules.conditions import ValueType
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Owner
from signalbox.store.actions import Kind
from signalbox.store.new_actions import NewAction

VALUE_TYPES: dict[int, ValueType] = {
    types_pb2.BOOLEAN: ValueType.BOOL,
    types_pb2.INTEGER: ValueType.INT,
    types_pb2.FLOAT: ValueType.FLOAT,
    types_pb2.STRING: ValueType.STR,
}
_LONGEST = timedelta(days=366)


class Place(NamedTuple):
    """Where an action belongs, whatever it does. `queue` empty: its run's."""

    key: ActionKey
    parent: str = ""
    group: str = ""
    input_uri: str = ""
    output_base: str = ""
    queue: str = ""


def task(
    op: Op,
    place: Place,
    identity: task_definition_pb2.TaskIdentifier,
    spec: task_definition_pb2.TaskSpec,
    digest: bytes,
    *,
    cache_key: str | None,
) -> NewAction:
    """`digest`: of the serialized `spec`. Raises Invalid."""
    definition = run_definition_pb2.TaskAction(id=identity, queue=place.queue)
    if cache_key:
        definition.cache_key.value = ids.cache_key(cache_key, what="cache_key")
    metadata = spec.task_template.metadata
    retries = metadata.retries
    backoff = retries.backoff if retries.HasField("backoff") and retries.backoff.HasField("base") else None
    timeouts = metadata.timeouts
    return _action(op, place)._replace(
        kind=Kind.TASK,
        definition=definition.SerializeToString(),
        spec_digest=digest,
        task_name=ids.task_name(identity.name, what="task.id.name"),
        task_version=identity.version,
        short_name=spec.short_name,
        environment=spec.environment.name,
        user_retries=retries.retries,
        phase=Phase.QUEUED,
        owner=Owner.DISPATCH,
        cache_key=cache_key or "",
        run_timeout=_bound(metadata.timeout, "timeout") if metadata.HasField("timeout") else None,
        queued_timeout=(
            _bound(timeouts.queued_timeout, "queued_timeout") if timeouts.HasField("queued_timeout") else None
        ),
        deadline_after=_bound(timeouts.deadline, "deadline") if timeouts.HasField("deadline") else None,
        cache_max_age=_bound(metadata.cache_max_age, "cache_max_age") if metadata.HasField("cache_max_age") else None,
        is_serialized=metadata.cache_serializable,
        backoff_base=_bound(backoff.base, "backoff.base") if backoff else None,
        backoff_factor=_factor(backoff.factor if backoff.HasField("factor") else 1.0) if backoff else None,
        backoff_cap=_bound(backoff.cap, "backoff.cap") if backoff and backoff.HasField("cap") else None,
    )


def trace(op: Op, place: Place, trace: run_definition_pb2.TraceAction) -> NewAction:
    """A finished piece of a task's own work. Raises Invalid."""
    phase = wire.phase(trace.phase)
    if phase not in TERMINAL:
        raise Invalid(f"action.trace.phase: a finished one, got {phase}")
    return _action(op, place)._replace(
        kind=Kind.TRACE,
        definition=wire.definition(trace.SerializeToString(), what="action.trace"),
        short_name=wire.text(trace.name, what="action.trace.name", longest=texts.NAME),
        phase=phase,
        owner=None,
        started_at=wire.moment(trace.start_time) if trace.HasField("start_time") else op.now,
        ended_at=wire.moment(trace.end_time) if trace.HasField("end_time") else op.now,
        output_uri=wire.text(trace.outputs.output_uri, what="action.trace.outputs.output_uri", longest=texts.URI),
    )


def condition(op: Op, place: Place, condition: run_definition_pb2.ConditionAction) -> NewAction:
    """A wait for a person. Raises Invalid."""
    if condition.HasField("webhook"):
        raise Invalid(
            "action.condition.webhook: not part of this version of Signalbox", hint="signal it with SignalEvent"
        )
    if condition.type.simple not in VALUE_TYPES:
        raise Invalid(f"action.condition.type: one of {', '.join(ValueType)}, got simple type {condition.type.simple}")
    return _action(op, place)._replace(
        kind=Kind.CONDITION,
        definition=condition.SerializeToString(),
        short_name=wire.text(condition.name, what="action.condition.name", longest=texts.NAME),
        phase=Phase.PAUSED,
        owner=Owner.PERSON,
        started_at=op.now,
        deadline_after=_bound(condition.timeout, "action.condition.timeout") if condition.HasField("timeout") else None,
    )


def _action(op: Op, place: Place) -> NewAction:
    """Raises Invalid for texts that are too long."""
    return NewAction(
        key=place.key,
        parent=place.parent,
        kind=Kind.TASK,
        group_name=wire.text(place.group, what="action.group", longest=texts.NAME),
        definition=b"",
        spec_digest=None,
        task_name="",
        task_version="",
        short_name="",
        environment="",
        input_uri=wire.text(place.input_uri, what="input_uri", longest=texts.URI),
        output_base=wire.text(place.output_base, what="run_output_base", longest=texts.URI),
        user_retries=0,
        created_by=str(op.who),
        created_at=op.now,
        phase=Phase.QUEUED,
        owner=None,
        request_id=op.request_id,
        queue=place.queue,
    )


def root_cache_key(spec: task_definition_pb2.TaskSpec, identity_name: str, *, inputs_hash: str) -> str | None:
    """Cache key of a run's root; None when its task is not cached. The hash is the one that UploadInputs answered."""
    template = spec.task_template
    if not template.metadata.discoverable or not inputs_hash:
        return None
    interface = interface_pb2.TypedInterface()
    for side in ("inputs", "outputs"):
        variables = getattr(template.interface, side).variables
        getattr(interface, side).variables.extend(sorted(variables, key=lambda entry: entry.key))
    return root_key(
        inputs_hash=inputs_hash,
        task_name=identity_name,
        interface=interface.SerializeToString(deterministic=True),
        discovery_version=template.metadata.discovery_version,
    )


def _bound(duration: Duration, what: str) -> timedelta | None:
    """None for zero, which is no bound. Raises Invalid for what is negative or longer than a year."""
    try:
        bound = duration.ToTimedelta()
    except (OverflowError, ValueError):
        bound = _LONGEST * 2
    if not timedelta(0) <= bound <= _LONGEST:
        raise Invalid(f"{what}: 0 (no bound) to {_LONGEST.days} days, got {duration.seconds} s")
    return bound or None


def _factor(factor: float) -> float:
    if not 1.0 <= factor <= 1000.0:  # noqa: PLR2004  # also refuses what is no number
        raise Invalid(f"backoff.factor: 1 to 1000, got {factor}")
    return factor
