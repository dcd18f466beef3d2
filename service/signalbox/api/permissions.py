"""RPC -> permission, for every RPC of every service: the one table of who may call what, and of what is not served.

An RPC of the API's definition that stands in neither table stops the program at import. What is not served says why.
"""

from __future__ import annotations

from enum import Enum
from importlib import import_module

from google.protobuf.descriptor import ServiceDescriptor

from signalbox.rules.roles import Permission
from signalbox_wire.cluster.v1 import cluster_pb2


class Open(Enum):
    """Callable without an identity; each member says why."""

    LOGIN_METADATA = "clients ask it to learn how to log in"
    JOIN_TOKEN = "the request carries a one-time join token"  # noqa: S105  # no token
    UNSERVED = "the answer is always the same refusal"


Rule = Permission | Open

_RUN = "flyteidl2.workflow.RunService"
_ACTIONS = "flyteidl2.actions.ActionsService"
_TASK = "flyteidl2.task.TaskService"
_PROJECT = "flyteidl2.project.ProjectService"
_CACHES = ("flyteidl2.cacheservice.CacheService", "flyteidl2.cacheservice.v2.CacheService")
_LINK = "signalbox.cluster.v1.ClusterLinkService"

SERVED: dict[str, Rule] = {
    f"{_RUN}/CreateRun": Permission.RUN_CREATE,
    f"{_RUN}/AbortRun": Permission.RUN_ABORT,
    f"{_RUN}/AbortAction": Permission.RUN_ABORT,
    f"{_RUN}/SignalEvent": Permission.RUN_SIGNAL,
    f"{_RUN}/GetRunDetails": Permission.RUN_READ,
    f"{_RUN}/GetActionDetails": Permission.RUN_READ,
    f"{_RUN}/WatchActionDetails": Permission.RUN_READ,
    f"{_RUN}/WatchRunDetails": Permission.RUN_READ,
    f"{_RUN}/ListRuns": Permission.RUN_READ,
    f"{_RUN}/WatchRuns": Permission.RUN_READ,
    f"{_RUN}/ListActions": Permission.RUN_READ,
    f"{_RUN}/WatchActions": Permission.RUN_READ,
    f"{_RUN}/WatchClusterEvents": Permission.RUN_READ,
    f"{_RUN}/GetActionDataURIs": Permission.RUN_READ,
    f"{_ACTIONS}/Enqueue": Permission.ACTION_ENQUEUE,
    f"{_ACTIONS}/WatchForUpdates": Permission.RUN_READ,
    f"{_ACTIONS}/Update": Permission.CLUSTER_LINK,
    f"{_ACTIONS}/Abort": Permission.RUN_ABORT,
    f"{_TASK}/DeployTask": Permission.TASK_DEPLOY,
    f"{_TASK}/GetTaskDetails": Permission.TASK_READ,
    f"{_TASK}/ListTasks": Permission.TASK_READ,
    f"{_TASK}/ListVersions": Permission.TASK_READ,
    f"{_PROJECT}/CreateProject": Permission.PROJECT_WRITE,
    f"{_PROJECT}/UpdateProject": Permission.PROJECT_WRITE,
    f"{_PROJECT}/GetProject": Permission.PROJECT_READ,
    f"{_PROJECT}/ListProjects": Permission.PROJECT_READ,
    "flyteidl2.cluster.ClusterService/SelectCluster": Permission.CLUSTER_SELECT,
    "flyteidl2.auth.IdentityService/UserInfo": Permission.IDENTITY_READ,
    "flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata": Open.LOGIN_METADATA,
    "flyteidl2.auth.AuthMetadataService/GetPublicClientConfig": Open.LOGIN_METADATA,
    **{f"{cache}/Get": Permission.CACHE_READ for cache in _CACHES},
    **{
        f"{cache}/{method}": Permission.CACHE_WRITE
        for cache in _CACHES
        for method in ("Put", "Delete", "GetOrExtendReservation", "ReleaseReservation")
    },
    f"{_LINK}/Enroll": Open.JOIN_TOKEN,
    f"{_LINK}/Renew": Permission.CLUSTER_LINK,
    f"{_LINK}/Lease": Permission.CLUSTER_LINK,
    f"{_LINK}/Report": Permission.CLUSTER_LINK,
}

_DATA_PLANE = "the data plane serves it; ask SelectCluster for its endpoint: no payload passes the control plane"
_LATER = "not part of this version of Signalbox"
_LEGACY = "runtimes without _U_USE_ACTIONS=1 are not supported; ActionsService replaces it"
_LINK_ONLY = "clusters report over signalbox.cluster.v1, which fences each report by attempt and epoch"

# A service, or one RPC of a service that is otherwise served, and why it is not.
UNSERVED: dict[str, str] = {
    f"{_RUN}/GetActionData": _DATA_PLANE,
    f"{_RUN}/GetActionLogContext": _DATA_PLANE,
    f"{_RUN}/WatchGroups": _LATER,
    f"{_ACTIONS}/Signal": "RunService/SignalEvent answers conditions",
    "flyteidl2.dataproxy.DataProxyService": _DATA_PLANE,
    "flyteidl2.secret.SecretService": _DATA_PLANE,
    "flyteidl2.imagebuilder.ImageService": _DATA_PLANE,
    "flyteidl2.workflow.RunLogsService": _DATA_PLANE,
    "flyteidl2.app.AppLogsService": _DATA_PLANE,
    "flyteidl2.workflow.QueueService": _LEGACY,
    "flyteidl2.workflow.StateService": _LEGACY,
    "flyteidl2.workflow.EventsProxyService": _LINK_ONLY,
    "flyteidl2.workflow.InternalRunService": _LINK_ONLY,
    "flyteidl2.workflow.TrackedRunService": f"tracked runs: {_LATER}",
    "flyteidl2.workflow.TranslatorService": f"launch forms: {_LATER}",
    "flyteidl2.trigger.TriggerService": f"triggers: {_LATER}",
    "flyteidl2.settings.SettingsService": f"settings: {_LATER}",
    "flyteidl2.artifact.ArtifactService": f"artifacts: {_LATER}",
    "flyteidl2.app.AppService": f"apps: {_LATER}",
    "flyteidl2.org.DomainService": f"domains are configured by the operator; {_LATER}",
    "flyteidl2.connector.AsyncConnectorService": "connectors run in the data plane",
    "flyteidl2.connector.ConnectorMetadataService": "connectors run in the data plane",
}

_MODULES = (
    "actions.actions_service",
    "app.app_logs_service",
    "app.app_service",
    "artifact.artifact_service",
    "auth.auth_service",
    "auth.identity",
    "cacheservice.cacheservice",
    "cacheservice.v2.cacheservice",
    "cluster.service",
    "connector.service",
    "dataproxy.dataproxy_service",
    "imagebuilder.service",
    "org.domain_service",
    "project.project_service",
    "secret.secret",
    "settings.settings_service",
    "task.task_service",
    "trigger.trigger_service",
    "workflow.events_proxy_service",
    "workflow.internal_run_service",
    "workflow.queue_service",
    "workflow.run_logs_service",
    "workflow.run_service",
    "workflow.state_service",
    "workflow.tracked_run_service",
    "workflow.translator_service",
)


def services() -> list[ServiceDescriptor]:
    """Every service of the API's definition, and the cluster link."""
    files = [import_module(f"flyteidl2.{module}_pb2").DESCRIPTOR for module in _MODULES] + [cluster_pb2.DESCRIPTOR]
    return [service for file in files for service in file.services_by_name.values()]


def reason_unserved(service: str, method: str) -> str | None:
    """Why the RPC is not served; None when it is."""
    return UNSERVED.get(f"{service}/{method}") or UNSERVED.get(service)


def _check_complete() -> None:
    rpcs = {f"{s.full_name}/{m.name}": s.full_name for s in services() for m in s.methods}
    known = set(rpcs) | set(rpcs.values())
    forgotten = [rpc for rpc, service in rpcs.items() if (rpc in SERVED) == (rpc in UNSERVED or service in UNSERVED)]
    stale = [name for name in (*SERVED, *UNSERVED) if name not in known]
    if forgotten or stale:
        raise RuntimeError(f"api/permissions.py: in neither or both tables: {forgotten}; not in the API: {stale}")


_check_complete()
