"""ActionsService: what a running task says of its children. The hottest path of the product."""

from __future__ import annotations

from collections.abc import AsyncIterator

from flyteidl2.actions import actions_service_pb2 as pb
from flyteidl2.core import execution_pb2, identifier_pb2, tasks_pb2
from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2, state_service_pb2

from signalbox.api import new_actions, wire
from signalbox.api.interceptors import Handlers, validate
from signalbox.api.new_actions import Place
from signalbox.control import actions, children
from signalbox.control.actions import Enqueue
from signalbox.control.batch import Batch
from signalbox.control.hub import Hub
from signalbox.control.leases import caller
from signalbox.control.reports import Report
from signalbox.errors import Conflict, Invalid, NotFound
from signalbox.ids import ActionKey, name
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL, Verdict
from signalbox.settings import Settings
from signalbox.store import specs
from signalbox.store.children import Child
from signalbox.store.new_actions import NewAction

_SERVICE = "flyteidl2.actions.ActionsService"
_SMALL_SPEC = task_definition_pb2.TaskSpec(
    task_template=tasks_pb2.TaskTemplate(id=identifier_pb2.Identifier(name="x")), short_name="x"
)
_MOST_SPECS = 10_000
_SENTINEL = pb.WatchForUpdatesResponse(control_message=state_service_pb2.ControlMessage(sentinel=True))
_NOT_OUR_REPORT = {
    Verdict.STALE_EPOCH: Conflict("the attempt is not held by this cluster"),
    Verdict.TERMINAL_ALREADY: Conflict("the action is over, with another result"),
    Verdict.UNKNOWN_ACTION: NotFound("no such action"),
    Verdict.INVALID: Invalid("status.phase: not a phase that a cluster reports"),
}


class Actions:
    def __init__(
        self, enqueues: Batch[Enqueue, None], reports: Batch[Report, Verdict], hub: Hub, settings: Settings
    ) -> None:
        self._enqueues = enqueues
        self._reports = reports
        self._hub = hub
        self._settings = settings
        self._valid_specs: dict[bytes, None] = {}

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Enqueue": self.enqueue,
            f"{_SERVICE}/WatchForUpdates": self.watch_for_updates,
            f"{_SERVICE}/Update": self.update,
            f"{_SERVICE}/Abort": self.abort,
        }

    async def enqueue(self, op: Op, request: pb.EnqueueRequest) -> pb.EnqueueResponse:
        action = request.action
        body = action.task.spec.SerializeToString(deterministic=True) if action.HasField("task") else None
        digest = specs.digest(body) if body is not None else None
        self._validate(request, digest)
        await self._enqueues.submit(Enqueue(new_action(op, action, digest), body))
        return pb.EnqueueResponse()

    def _validate(self, request: pb.EnqueueRequest, digest: bytes | None) -> None:
        """Raises Invalid. A TaskSpec is most of a request, and thousands share one: it is looked at once."""
        if digest not in self._valid_specs:
            validate(request)
            if digest is not None:
                self._valid_specs[digest] = None
                if len(self._valid_specs) > _MOST_SPECS:
                    del self._valid_specs[next(iter(self._valid_specs))]
            return
        validate(_without_spec(request.action))

    async def watch_for_updates(
        self, op: Op, request: pb.WatchForUpdatesRequest
    ) -> AsyncIterator[pb.WatchForUpdatesResponse]:
        parent = wire.action_key(request.parent_action_id)
        async for batch in children.watch(op, self._hub, parent, progress_every=self._settings.progress_every):
            for child in batch:
                yield pb.WatchForUpdatesResponse(action_update=_update(parent, child))
            if not batch:
                yield _SENTINEL

    async def update(self, op: Op, request: pb.UpdateRequest) -> pb.UpdateResponse:
        phase = wire.phase(request.status.phase)
        started = wire.moment(request.status.start_time) if request.status.HasField("start_time") else None
        report = Report(
            key=wire.action_key(request.action_id),
            cluster=caller(op),
            attempt=request.attempt,
            epoch=None,
            phase=phase,
            at=op.now,
            started_at=started,
            output_uri=None,
            error=None,
            error_system=False,
            recoverable=False,
            log=None,
        )
        if refusal := _NOT_OUR_REPORT.get(await self._reports.submit(report)):
            raise refusal
        return pb.UpdateResponse()

    async def abort(self, op: Op, request: pb.AbortRequest) -> pb.AbortResponse:
        await actions.abort(op, self._hub, wire.action_key(request.action_id), reason=wire.reason(request.reason))
        return pb.AbortResponse()


def _without_spec(action: pb.Action) -> pb.EnqueueRequest:
    """The request for the action with a TaskSpec that is valid and small."""
    request, task = pb.EnqueueRequest(), action.task
    rest = request.action
    rest.action_id.CopyFrom(action.action_id)
    if action.HasField("parent_action_name"):
        rest.parent_action_name = action.parent_action_name
    rest.input_uri = action.input_uri
    rest.run_output_base = action.run_output_base
    rest.group = action.group
    rest.subject = action.subject
    rest.task.id.CopyFrom(task.id)
    rest.task.spec.CopyFrom(_SMALL_SPEC)
    rest.task.queue = task.queue
    if task.HasField("cache_key"):
        rest.task.cache_key.CopyFrom(task.cache_key)
    return request


def new_action(op: Op, action: pb.Action, digest: bytes | None) -> NewAction:
    """The row to be; `digest`: of the TaskSpec of a task. Raises Invalid."""
    place = Place(
        key=wire.action_key(action.action_id),
        parent=name(action.parent_action_name, what="action.parent_action_name"),
        group=action.group,
        input_uri=action.input_uri,
        output_base=action.run_output_base,
    )
    match action.WhichOneof("spec"):
        case "task":
            task = action.task
            if task.queue:
                place = place._replace(queue=name(task.queue, what="action.task.queue"))
            cache_key = task.cache_key.value if task.HasField("cache_key") else None
            return new_actions.task(op, place, task.id, task.spec, digest or b"", cache_key=cache_key)
        case "trace":
            return new_actions.trace(op, place, action.trace)
        case "condition":
            return new_actions.condition(op, place, action.condition)
        case _:
            raise Invalid("action.spec: a task, a trace or a condition is needed, got none")


def _update(parent: ActionKey, child: Child) -> state_service_pb2.ActionUpdate:
    update = state_service_pb2.ActionUpdate(
        action_id=wire.action_id(parent._replace(action=child.name)),
        phase=wire.action_phase(child.phase),
    )
    if child.phase in TERMINAL:
        update.output_uri = child.output_uri
    if child.value is not None:
        update.value.ParseFromString(child.value)
    if child.error is not None:
        info = run_definition_pb2.ErrorInfo.FromString(child.error)
        update.error.code = info.code
        update.error.message = info.message
        update.error.kind = _KINDS[info.kind]
        update.error.recoverability = (
            execution_pb2.ContainerError.RECOVERABLE
            if child.error_recoverable
            else execution_pb2.ContainerError.NON_RECOVERABLE
        )
    return update


_KINDS = {
    run_definition_pb2.ErrorInfo.KIND_UNSPECIFIED: execution_pb2.ExecutionError.UNKNOWN,
    run_definition_pb2.ErrorInfo.KIND_USER: execution_pb2.ExecutionError.USER,
    run_definition_pb2.ErrorInfo.KIND_SYSTEM: execution_pb2.ExecutionError.SYSTEM,
}
