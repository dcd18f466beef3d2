"""RunService, the part that only reads: details, lists and watches of runs and actions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from flyteidl2.workflow import run_definition_pb2
from flyteidl2.workflow import run_service_pb2 as pb

from signalbox import ids
from signalbox.api import details, filters, paging, wire
from signalbox.api.interceptors import Handlers
from signalbox.control import cluster_events, run_views
from signalbox.control.hub import Hub
from signalbox.errors import Invalid, Unserved
from signalbox.ids import ROOT_ACTION, ActionKey, ScopeKey
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store.run_views import ActionPosition, Among, Conditions, RunPosition

_SERVICE = "flyteidl2.workflow.RunService"
_SORTS = ("created_at",)


class RunViews:
    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._every = settings.progress_every

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/GetRunDetails": self.get_run_details,
            f"{_SERVICE}/GetActionDetails": self.get_action_details,
            f"{_SERVICE}/WatchActionDetails": self.watch_action_details,
            f"{_SERVICE}/WatchRunDetails": self.watch_run_details,
            f"{_SERVICE}/ListRuns": self.list_runs,
            f"{_SERVICE}/WatchRuns": self.watch_runs,
            f"{_SERVICE}/ListActions": self.list_actions,
            f"{_SERVICE}/WatchActions": self.watch_actions,
            f"{_SERVICE}/WatchClusterEvents": self.watch_cluster_events,
            f"{_SERVICE}/GetActionDataURIs": self.get_action_data_uris,
        }

    async def get_run_details(self, op: Op, request: pb.GetRunDetailsRequest) -> pb.GetRunDetailsResponse:
        root = ActionKey(*wire.run_key(request.run_id), ROOT_ACTION)
        return pb.GetRunDetailsResponse(details=details.run_details(await run_views.details(op, root)))

    async def get_action_details(self, op: Op, request: pb.GetActionDetailsRequest) -> pb.GetActionDetailsResponse:
        found = await run_views.details(op, wire.action_key(request.action_id))
        return pb.GetActionDetailsResponse(details=details.action_details(found))

    async def watch_action_details(
        self, op: Op, request: pb.WatchActionDetailsRequest
    ) -> AsyncIterator[pb.WatchActionDetailsResponse]:
        key = wire.action_key(request.action_id)
        async for found in run_views.watch_details(op, self._hub, key, progress_every=self._every):
            yield pb.WatchActionDetailsResponse(details=details.action_details(found))

    async def watch_run_details(
        self, op: Op, request: pb.WatchRunDetailsRequest
    ) -> AsyncIterator[pb.WatchRunDetailsResponse]:
        root = ActionKey(*wire.run_key(request.run_id), ROOT_ACTION)
        async for found in run_views.watch_details(op, self._hub, root, progress_every=self._every):
            yield pb.WatchRunDetailsResponse(details=details.run_details(found))

    async def list_runs(self, op: Op, request: pb.ListRunsRequest) -> pb.ListRunsResponse:
        org, scope, within = _listed(request)
        order = paging.order(request.request, keys=_SORTS)
        token = paging.position(request.request.token, "runs", order, datetime, str, str, str)
        page = await run_views.list_runs(
            op,
            org,
            scope,
            filters.of_runs(filters.of(request.request), but=within),
            after=RunPosition(*token) if token else None,  # pyright: ignore[reportArgumentType]  # types are checked
            descending=order.descending,
            limit=paging.size(request.request.limit),
        )
        return pb.ListRunsResponse(
            runs=[wire.run(view) for view in page.items], token=paging.token("runs", order, page.next)
        )

    async def watch_runs(self, op: Op, request: pb.WatchRunsRequest) -> AsyncIterator[pb.WatchRunsResponse]:
        org, scope, within = _watched(request)
        async for views in run_views.watch_runs(op, self._hub, org, scope, within, progress_every=self._every):
            yield pb.WatchRunsResponse(runs=[wire.run(view) for view in views])

    async def list_actions(self, op: Op, request: pb.ListActionsRequest) -> pb.ListActionsResponse:
        order = paging.order(request.request, keys=_SORTS)
        token = paging.position(request.request.token, "actions", order, int)
        page = await run_views.list_actions(
            op,
            wire.run_key(request.run_id),
            filters.of_actions(filters.of(request.request)),
            after=ActionPosition(*token) if token else None,  # pyright: ignore[reportArgumentType]  # types are checked
            descending=order.descending,
            limit=paging.size(request.request.limit),
        )
        return pb.ListActionsResponse(
            actions=[wire.action(view) for view in page.items], token=paging.token("actions", order, page.next)
        )

    async def watch_actions(self, op: Op, request: pb.WatchActionsRequest) -> AsyncIterator[pb.WatchActionsResponse]:
        run = wire.run_key(request.run_id)
        meets = filters.meets(request.filter)
        async for views in run_views.watch_actions(op, self._hub, run, progress_every=self._every):
            yield pb.WatchActionsResponse(
                enriched_actions=[
                    wire.enriched_action(view, children, meets_filter=meets(view)) for view, children in views
                ]
            )

    async def watch_cluster_events(
        self, op: Op, request: pb.WatchClusterEventsRequest
    ) -> AsyncIterator[pb.WatchClusterEventsResponse]:
        key = wire.action_key(request.id, what="id")
        attempt = request.attempt or 1
        async for events in cluster_events.watch(op, self._hub, key, attempt, progress_every=self._every):
            bodies = [run_definition_pb2.ClusterEvent.FromString(event.body) for event in events]
            yield pb.WatchClusterEventsResponse(cluster_events=bodies)

    async def get_action_data_uris(self, op: Op, request: pb.GetActionDataURIsRequest) -> pb.GetActionDataURIsResponse:
        uris = await run_views.uris(op, wire.action_key(request.action_id))
        return pb.GetActionDataURIsResponse(inputs_uri=uris.input_uri, outputs_uri=details.outputs_uri(uris))


def _listed(request: pb.ListRunsRequest) -> tuple[str, ScopeKey | None, Conditions]:
    """Org, project and domain (None: all of the org), and what the scope adds to the filters."""
    conditions = Conditions(paused_only=request.paused_actions_only)
    match request.WhichOneof("scope_by"):
        case "org":
            return ids.name(request.org, what="org"), None, conditions
        case "project_id":
            project = request.project_id
            scope = wire.scope_key(project.organization, project.name, project.domain)
            return scope.org, scope, conditions
        case "task_name":
            task = request.task_name
            scope = wire.scope_key(task.org, task.project, task.domain)
            return scope.org, scope, _of_task(task.name, None, paused_only=request.paused_actions_only)
        case "task_id":
            key = wire.task_key(request.task_id)
            paused = request.paused_actions_only
            return key.org, key.scope, _of_task(key.name, key.version, paused_only=paused)
        case "trigger_name":
            raise Unserved("scope_by.trigger_name: triggers are not part of this version of Signalbox")
        case _:
            raise Invalid("scope_by: org, project_id, task_name or task_id is needed, got none")


def _watched(request: pb.WatchRunsRequest) -> tuple[str, ScopeKey | None, Conditions]:
    match request.WhichOneof("target"):
        case "org":
            return ids.name(request.org, what="org"), None, Conditions()
        case "project_id":
            project = request.project_id
            scope = wire.scope_key(project.organization, project.name, project.domain)
            return scope.org, scope, Conditions()
        case "task_id":
            key = wire.task_key(request.task_id)
            return key.org, key.scope, _of_task(key.name, key.version, paused_only=False)
        case "cluster_id":
            cluster = request.cluster_id
            org = ids.name(cluster.organization, what="cluster_id.organization")
            return org, None, Conditions(cluster=ids.name(cluster.name, what="cluster_id.name"))
        case _:
            raise Invalid("target: org, project_id, task_id or cluster_id is needed, got none")


def _of_task(name: str, version: str | None, *, paused_only: bool) -> Conditions:
    versions = None if version is None else [version]
    return Conditions(task_name=Among([name]), task_version=Among(versions), paused_only=paused_only)
