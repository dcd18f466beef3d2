"""RunService, the part that changes things: CreateRun, AbortRun, AbortAction."""

from __future__ import annotations

from flyteidl2.common import run_pb2 as run_pb2_common
from flyteidl2.core import literals_pb2
from flyteidl2.task import run_pb2, task_definition_pb2
from flyteidl2.workflow import run_definition_pb2
from flyteidl2.workflow import run_service_pb2 as pb

from signalbox import ids
from signalbox.api import new_actions, wire
from signalbox.api.interceptors import Handlers
from signalbox.api.new_actions import VALUE_TYPES, Place
from signalbox.control import actions, conditions, run_views, runs
from signalbox.control.hub import Hub
from signalbox.errors import Invalid, Unserved
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey, ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.rules import texts
from signalbox.rules.conditions import ValueType, mismatch
from signalbox.settings import Settings
from signalbox.store import specs

_SERVICE = "flyteidl2.workflow.RunService"
_LONGEST_VERSION = 63  # as of a TaskIdentifier, which a task's own children name; the SDK's hashes have 32


class Runs:
    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/CreateRun": self.create_run,
            f"{_SERVICE}/AbortRun": self.abort_run,
            f"{_SERVICE}/AbortAction": self.abort_action,
            f"{_SERVICE}/SignalEvent": self.signal_event,
        }

    async def create_run(self, op: Op, request: pb.CreateRunRequest) -> pb.CreateRunResponse:
        new = await _new_run(op, request)
        key = await runs.create(op, self._hub, new, domains=self._settings.domains, lease_ttl=self._settings.lease_ttl)
        view = await run_views.action(op, ActionKey(*key, ROOT_ACTION))
        return pb.CreateRunResponse(run=run_definition_pb2.Run(action=wire.action(view)))

    async def abort_run(self, op: Op, request: pb.AbortRunRequest) -> pb.AbortRunResponse:
        await runs.abort(op, self._hub, wire.run_key(request.run_id), reason=wire.reason(request.reason))
        return pb.AbortRunResponse()

    async def abort_action(self, op: Op, request: pb.AbortActionRequest) -> pb.AbortActionResponse:
        await actions.abort(op, self._hub, wire.action_key(request.action_id), reason=wire.reason(request.reason))
        return pb.AbortActionResponse()

    async def signal_event(self, op: Op, request: pb.SignalEventRequest) -> pb.SignalEventResponse:
        key = wire.action_key(request.action_id)
        value = _literal(request.payload, await conditions.definition(op, key))
        await conditions.signal(op, self._hub, key, parent=request.parent_action_name, value=value)
        return pb.SignalEventResponse()


_PAYLOADS = {
    "bool_value": ValueType.BOOL,
    "int_value": ValueType.INT,
    "float_value": ValueType.FLOAT,
    "string_value": ValueType.STR,
}


def _literal(payload: pb.EventPayload, definition: bytes) -> bytes:
    """The signalled value as a serialized Literal of the condition's type. Raises Invalid."""
    given = payload.WhichOneof("value")
    if given is None:
        raise Invalid("payload: a value is needed, got none")
    wanted = VALUE_TYPES[run_definition_pb2.ConditionAction.FromString(definition).type.simple]
    if problem := mismatch(wanted, _PAYLOADS[given]):
        raise Invalid(problem)
    literal = literals_pb2.Literal()
    primitive = literal.scalar.primitive
    match _PAYLOADS[given]:
        case ValueType.BOOL:
            primitive.boolean = payload.bool_value
        case ValueType.INT:
            primitive.integer = payload.int_value
        case ValueType.FLOAT:
            primitive.float_value = payload.float_value
        case ValueType.STR:
            answer = wire.text(payload.string_value, what="payload.string_value", longest=texts.ANSWER)
            primitive.string_value = answer
    return literal.SerializeToString()


async def _new_run(op: Op, request: pb.CreateRunRequest) -> runs.NewRun:
    scope, name = _scope(request)
    task, spec = await _task(op, request, scope)
    run_spec = request.run_spec
    start = wire.moment(request.run_start_time) if request.HasField("run_start_time") else op.now
    if run_spec.HasField("run_start_time"):
        start = wire.moment(run_spec.run_start_time)
    body = spec.SerializeToString(deterministic=True)
    place = Place(key=ActionKey(*scope, "", ROOT_ACTION), input_uri=_inputs(request))
    cache_key = new_actions.root_cache_key(spec, task.name, inputs_hash=request.offloaded_input_data.inputs_hash)
    return runs.NewRun(
        scope=scope,
        name=name,
        spec=body,
        root=new_actions.task(op, place, task, spec, specs.digest(body), cache_key=cache_key),
        run_spec=wire.definition(run_spec.SerializeToString(), what="run_spec"),
        run_base=wire.text(run_spec.run_base_dir, what="run_spec.run_base_dir", longest=texts.URI),
        source=request.source,
        labels=wire.labels(run_spec.labels.values, what="run_spec.labels"),
        start_time=start,
        request=request.SerializeToString(deterministic=True),
        queue=ids.name(run_spec.queue, what="run_spec.queue") if run_spec.queue else "",
        max_actions=_max_actions(run_spec),
        overwrite_cache=run_spec.overwrite_cache or run_spec.cache_config.overwrite_cache,
        cache_global=run_spec.cache_config.cache_lookup_scope == run_pb2.CACHE_LOOKUP_SCOPE_GLOBAL,
        recover_from=_recover_from(run_spec, scope),
        force_rerun=[ids.name(n, what="run_spec.recover") for n in run_spec.recover.force_rerun_actions],
    )


def _max_actions(run_spec: run_pb2.RunSpec) -> int:
    limit = run_spec.max_action_concurrency
    if limit == 1:
        raise Invalid(
            f"run_spec.max_action_concurrency: 0 (no limit) or at least 2, got {limit}",
            hint="the root action holds one place while it waits for its children",
        )
    return limit


def _recover_from(run_spec: run_pb2.RunSpec, scope: ScopeKey) -> RunKey | None:
    """The run whose results are taken over; empty parts of its identity are those of the new run."""
    relation = run_spec.relation
    if relation.relation_type != run_pb2_common.RELATION_TYPE_RECOVER:
        return None
    source = relation.related_to
    if source.org and source.org != scope.org:
        raise Invalid(f"run_spec.relation.related_to.org: recovers within org {scope.org}, got {source.org!r}")
    return RunKey(
        scope.org,
        ids.name(source.project or scope.project, what="run_spec.relation.related_to.project"),
        ids.name(source.domain or scope.domain, what="run_spec.relation.related_to.domain"),
        ids.name(source.name, what="run_spec.relation.related_to.name"),
    )


def _scope(request: pb.CreateRunRequest) -> tuple[ScopeKey, str | None]:
    match request.WhichOneof("id"):
        case "run_id":
            key = wire.run_key(request.run_id)
            return key.scope, key.run
        case "project_id":
            project = request.project_id
            return wire.scope_key(project.organization, project.name, project.domain), None
        case _:
            raise Invalid("id: run_id or project_id is needed, got neither")


async def _task(
    op: Op, request: pb.CreateRunRequest, scope: ScopeKey
) -> tuple[task_definition_pb2.TaskIdentifier, task_definition_pb2.TaskSpec]:
    match request.WhichOneof("task"):
        case "task_spec":
            template = request.task_spec.task_template.id
            name = ids.task_name(template.name, what="task_spec.task_template.id.name")
            version = wire.text(template.version, what="task_spec.task_template.id.version", longest=_LONGEST_VERSION)
            return wire.task_id(TaskKey(*scope, name, version)), request.task_spec
        case "task_id":
            key = wire.task_key(request.task_id)
            return request.task_id, task_definition_pb2.TaskSpec.FromString(await runs.deployed_spec(op, key))
        case "trigger_name":
            raise Unserved("trigger_name: triggers are not part of this version of Signalbox")
        case _:
            raise Invalid("task: task_spec or task_id is needed, got neither")


def _inputs(request: pb.CreateRunRequest) -> str:
    """URI of the inputs. Inline inputs are payload: they belong to the data plane, and are refused."""
    if request.WhichOneof("input_wrapper") == "offloaded_input_data":
        return request.offloaded_input_data.uri
    if request.inputs.ByteSize():
        raise Invalid(
            "inputs: no payload passes the control plane",
            hint="upload them with DataProxyService/UploadInputs at the endpoint that SelectCluster names",
        )
    return ""
