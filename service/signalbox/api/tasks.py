"""TaskService: deployed tasks and their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from flyteidl2.common import list_pb2
from flyteidl2.task import task_definition_pb2
from flyteidl2.task import task_service_pb2 as pb

from signalbox import ids
from signalbox.api import filters, paging, wire
from signalbox.api.interceptors import Handlers
from signalbox.control import tasks
from signalbox.errors import Invalid, Unserved
from signalbox.ids import ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store import specs
from signalbox.store.tasks import Conditions, LatestRun, NewTask, Position, TaskRow

_SERVICE = "flyteidl2.task.TaskService"
_SORTS = ("created_at",)
_POSITION = (datetime, str, str, str, str)


class Tasks:
    def __init__(self, settings: Settings) -> None:
        self._domains = settings.domains

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/DeployTask": self.deploy_task,
            f"{_SERVICE}/GetTaskDetails": self.get_task_details,
            f"{_SERVICE}/ListTasks": self.list_tasks,
            f"{_SERVICE}/ListVersions": self.list_versions,
        }

    async def deploy_task(self, op: Op, request: pb.DeployTaskRequest) -> pb.DeployTaskResponse:
        if request.triggers:
            raise Unserved(
                "triggers: not part of this version of Signalbox; nothing was deployed",
                hint="deploy the task without its triggers",
            )
        body = request.spec.SerializeToString(deterministic=True)
        task = NewTask(
            key=wire.task_key(request.task_id),
            spec_digest=specs.digest(body),
            short_name=request.spec.short_name,
            environment=request.spec.environment.name,
            description=request.spec.documentation.short_description,
            deployed_by=str(op.who),
            is_entrypoint=request.spec.task_template.metadata.is_entrypoint,
        )
        await tasks.deploy(op, task, body, domains=self._domains)
        return pb.DeployTaskResponse()

    async def get_task_details(self, op: Op, request: pb.GetTaskDetailsRequest) -> pb.GetTaskDetailsResponse:
        row, spec = await tasks.get(op, wire.task_key(request.task_id))
        details = task_definition_pb2.TaskDetails(
            task_id=wire.task_id(row.key),
            metadata=_metadata(row),
            spec=task_definition_pb2.TaskSpec.FromString(spec),
        )
        return pb.GetTaskDetailsResponse(details=details)

    async def list_tasks(self, op: Op, request: pb.ListTasksRequest) -> pb.ListTasksResponse:
        org, scope = _scope(request)
        order = paging.order(request.request, keys=_SORTS)
        token = paging.position(request.request.token, "tasks", order, *_POSITION)
        page, counts = await tasks.newest(
            op,
            org,
            scope,
            _conditions([*filters.of(request.request), *_known(request.known_filters)], _TASK_FIELDS),
            after=Position(*token) if token else None,  # pyright: ignore[reportArgumentType]  # types are checked
            descending=order.descending,
            limit=paging.size(request.request.limit),
        )
        return pb.ListTasksResponse(
            tasks=[_task(row, page.latest.get(row.key)) for row in page.items],
            token=paging.token("tasks", order, page.next),
            metadata=pb.ListTasksResponse.ListTasksMetadata(total=counts.total, filtered_total=counts.filtered),
        )

    async def list_versions(self, op: Op, request: pb.ListVersionsRequest) -> pb.ListVersionsResponse:
        name = request.task_name
        scope = wire.scope_key(name.org, name.project, name.domain)
        order = paging.order(request.request, keys=_SORTS)
        token = paging.position(request.request.token, "versions", order, *_POSITION)
        page = await tasks.versions(
            op,
            TaskKey(*scope, ids.task_name(name.name, what="task_name.name"), ""),
            _conditions(filters.of(request.request), _VERSION_FIELDS),
            after=Position(*token) if token else None,  # pyright: ignore[reportArgumentType]  # types are checked
            descending=order.descending,
            limit=paging.size(request.request.limit),
        )
        return pb.ListVersionsResponse(
            versions=[_version(row, page.latest.get(row.key)) for row in page.items],
            token=paging.token("versions", order, page.next),
        )


def _scope(request: pb.ListTasksRequest) -> tuple[str, ScopeKey | None]:
    """Org, and project and domain (None: all of the org)."""
    match request.WhichOneof("scope_by"):
        case "org":
            return ids.name(request.org, what="org"), None
        case "project_id":
            project = request.project_id
            scope = wire.scope_key(project.organization, project.name, project.domain)
            return scope.org, scope
        case _:
            raise Invalid("scope_by: org or project_id is needed, got neither")


def _task(row: TaskRow, latest: LatestRun | None) -> task_definition_pb2.Task:
    task = task_definition_pb2.Task(task_id=wire.task_id(row.key), metadata=_metadata(row))
    if latest is not None:
        task.task_summary.latest_run.CopyFrom(_latest(latest))
    return task


def _version(row: TaskRow, latest: LatestRun | None) -> pb.ListVersionsResponse.VersionResponse:
    version = pb.ListVersionsResponse.VersionResponse(
        version=row.version,
        deployed_at=wire.timestamp(row.deployed_at),
        deployed_by=wire.identity(row.deployed_by),
    )
    if latest is not None:
        version.latest_run.CopyFrom(_latest(latest))
    return version


def _metadata(row: TaskRow) -> task_definition_pb2.TaskMetadata:
    return task_definition_pb2.TaskMetadata(
        deployed_by=wire.identity(row.deployed_by),
        short_name=row.short_name,
        deployed_at=wire.timestamp(row.deployed_at),
        environment_name=row.environment,
        short_description=row.description,
    )


def _latest(run: LatestRun) -> task_definition_pb2.LatestRunSummary:
    return task_definition_pb2.LatestRunSummary(
        run_id=wire.run_id(run.key),
        run_time=wire.timestamp(run.created_at),
        phase=wire.action_phase(run.phase),
        root_task_name=run.task_name,
    )


_Narrow = Callable[[list_pb2.Filter, Conditions], dict[str, Any]]


def _text(field: str) -> _Narrow:
    return lambda one, was: {field: filters.text(one, getattr(was, field))}


def _deployed_at(one: list_pb2.Filter, was: Conditions) -> dict[str, Any]:
    start, end = filters.times(one, (was.deployed_from, was.deployed_until))
    return {"deployed_from": start, "deployed_until": end}


def _entrypoint(one: list_pb2.Filter, was: Conditions) -> dict[str, Any]:
    """Asking for both at once leaves nothing: no task is both."""
    words = {"true": True, "false": False}
    left = filters.chosen(one, None if was.is_entrypoint is None else [was.is_entrypoint], [True, False], words.get)
    if len(left) == 1:
        return {"is_entrypoint": left[0]}
    raise Invalid("filter is_entrypoint: true or false, once")


# Deployed versions never change: the time of the last update is that of the deploy.
_VERSION_FIELDS: dict[str, _Narrow] = {
    "version": _text("version"),
    "created_at": _deployed_at,
    "updated_at": _deployed_at,
    "deployed_by": lambda one, was: {"deployed_by": filters.principals(one, was.deployed_by)},
}
_TASK_FIELDS: dict[str, _Narrow] = {
    **_VERSION_FIELDS,
    "name": _text("name"),
    "function_name": _text("short_name"),
    "environment": _text("environment"),
    "is_entrypoint": _entrypoint,
}


def _conditions(requested: Iterable[list_pb2.Filter], fields: dict[str, _Narrow]) -> Conditions:
    conditions = Conditions()
    for one in requested:
        if one.field not in fields:
            raise filters.unknown(one, fields)
        conditions = replace(conditions, **fields[one.field](one, conditions))
    return conditions


def _known(known: Iterable[pb.ListTasksRequest.KnownFilter]) -> list[list_pb2.Filter]:
    """Known filters as what they are short for. Raises Invalid for an empty one."""
    found: list[list_pb2.Filter] = []
    for one in known:
        match one.WhichOneof("filter_by"):
            case "deployed_by":
                found.append(list_pb2.Filter(field="deployed_by", values=[one.deployed_by]))
            case "is_entrypoint":
                found.append(list_pb2.Filter(field="is_entrypoint", values=[str(one.is_entrypoint).lower()]))
            case _:
                raise Invalid("known_filters: deployed_by or is_entrypoint is needed, got neither")
    return found
