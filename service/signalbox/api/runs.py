"""RunService, the part that changes things: CreateRun, AbortRun, AbortAction."""

from __future__ import annotations

from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2
from flyteidl2.workflow import run_service_pb2 as pb

from signalbox import ids
from signalbox.api import wire
from signalbox.api.interceptors import Handlers
from signalbox.control import actions, run_views, runs
from signalbox.control.hub import Hub
from signalbox.errors import Invalid, Unserved
from signalbox.ids import ROOT_ACTION, ActionKey, ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.settings import Settings

_SERVICE = "flyteidl2.workflow.RunService"


class Runs:
    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/CreateRun": self.create_run,
            f"{_SERVICE}/AbortRun": self.abort_run,
            f"{_SERVICE}/AbortAction": self.abort_action,
        }

    async def create_run(self, op: Op, request: pb.CreateRunRequest) -> pb.CreateRunResponse:
        new = await _new_run(op, request)
        key = await runs.create(op, self._hub, new, domains=self._settings.domains, lease_ttl=self._settings.lease_ttl)
        view = await run_views.action(op, ActionKey(*key, ROOT_ACTION))
        return pb.CreateRunResponse(run=run_definition_pb2.Run(action=wire.action(view)))

    async def abort_run(self, op: Op, request: pb.AbortRunRequest) -> pb.AbortRunResponse:
        await runs.abort(op, self._hub, wire.run_key(request.run_id), reason=request.reason)
        return pb.AbortRunResponse()

    async def abort_action(self, op: Op, request: pb.AbortActionRequest) -> pb.AbortActionResponse:
        await actions.abort(op, self._hub, wire.action_key(request.action_id), reason=request.reason)
        return pb.AbortActionResponse()


async def _new_run(op: Op, request: pb.CreateRunRequest) -> runs.NewRun:
    scope, name = _scope(request)
    task, spec = await _task(op, request, scope)
    run_spec = request.run_spec
    start = wire.moment(request.run_start_time) if request.HasField("run_start_time") else op.now
    if run_spec.HasField("run_start_time"):
        start = wire.moment(run_spec.run_start_time)
    return runs.NewRun(
        scope=scope,
        name=name,
        spec=spec.SerializeToString(deterministic=True),
        task=runs.TaskFacts(
            name=task.name,
            version=task.version,
            short_name=spec.short_name,
            environment=spec.environment.name,
            user_retries=spec.task_template.metadata.retries.retries,
        ),
        definition=run_definition_pb2.TaskAction(id=task).SerializeToString(),
        input_uri=_inputs(request),
        run_spec=run_spec.SerializeToString(),
        run_base=run_spec.run_base_dir,
        source=request.source,
        labels=dict(run_spec.labels.values),
        start_time=start,
        request=request.SerializeToString(deterministic=True),
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
            return wire.task_id(TaskKey(*scope, name, template.version)), request.task_spec
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
