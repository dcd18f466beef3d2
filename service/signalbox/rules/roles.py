"""Who may do what: permissions, the built-in roles, and the one question `may`."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import StrEnum


class Permission(StrEnum):
    RUN_CREATE = "run.create"
    RUN_READ = "run.read"
    RUN_ABORT = "run.abort"
    RUN_SIGNAL = "run.signal"
    """To answer the conditions of a run."""
    ACTION_ENQUEUE = "action.enqueue"
    TASK_DEPLOY = "task.deploy"
    TASK_READ = "task.read"
    PROJECT_WRITE = "project.write"
    PROJECT_READ = "project.read"
    CLUSTER_SELECT = "cluster.select"
    CLUSTER_LINK = "cluster.link"
    """To lease and report: held by clusters only, never by people."""
    CACHE_READ = "cache.read"
    CACHE_WRITE = "cache.write"
    QUEUE_READ = "queue.read"
    QUEUE_WRITE = "queue.write"
    RETENTION_READ = "retention.read"
    RETENTION_WRITE = "retention.write"
    IDENTITY_READ = "identity.read"


class Role(StrEnum):
    ADMIN = "admin"
    CLUSTER = "cluster"


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission) - {Permission.CLUSTER_LINK},
    Role.CLUSTER: frozenset({Permission.CLUSTER_LINK, Permission.RUN_READ, Permission.TASK_READ}),
}


def may(roles: AbstractSet[Role], permission: Permission) -> bool:
    """Whether any of the roles grants it; no role, no permission."""
    return any(permission in GRANTS[role] for role in roles)
