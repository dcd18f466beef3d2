"""ClusterService: which data plane a client talks to for an operation on a resource."""

from __future__ import annotations

from datetime import timedelta

from flyteidl2.cluster import payload_pb2 as pb

from signalbox import ids
from signalbox.api import wire
from signalbox.api.interceptors import Handlers
from signalbox.control import clusters
from signalbox.errors import Invalid
from signalbox.ids import ClusterKey
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store.clusters import Cluster

_SERVICE = "flyteidl2.cluster.ClusterService"


class Clusters:
    def __init__(self, settings: Settings) -> None:
        self._ttl = settings.lease_ttl

    def handlers(self) -> Handlers:
        return {f"{_SERVICE}/SelectCluster": self.select_cluster}

    async def select_cluster(self, op: Op, request: pb.SelectClusterRequest) -> pb.SelectClusterResponse:
        cluster = await _selected(op, request, ttl=self._ttl)
        return pb.SelectClusterResponse(cluster_endpoint=cluster.dataproxy_endpoint, cluster=cluster.name)


async def _selected(op: Op, request: pb.SelectClusterRequest, *, ttl: timedelta) -> Cluster:
    """What has an action goes to the action's cluster; all else to any of its org."""
    match request.WhichOneof("resource"):
        case "action_id":
            return await clusters.for_action(op, wire.action_key(request.action_id), ttl=ttl)
        case "action_attempt_id":
            action = request.action_attempt_id.action_id
            return await clusters.for_action(op, wire.action_key(action, what="action_attempt_id.action_id"), ttl=ttl)
        case "cluster_id":
            org = ids.name(request.cluster_id.organization, what="cluster_id.organization")
            key = ClusterKey(org, ids.name(request.cluster_id.name, what="cluster_id.name"))
            return await clusters.named(op, key, ttl=ttl)
        case None:
            raise Invalid("resource: what the operation is about is needed, got nothing")
        case resource:
            return await clusters.for_org(op, _org(request, resource), ttl=ttl)


def _org(request: pb.SelectClusterRequest, resource: str) -> str:
    match resource:
        case "org_id":
            org = request.org_id.name
        case "task_id":
            org = request.task_id.org
        case "app_id":
            org = request.app_id.org
        case _:  # identifiers of one pattern: project, domain, cluster pool, queue
            org = getattr(request, resource).organization
    return ids.name(org, what=f"{resource}: org")
