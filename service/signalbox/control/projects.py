"""Projects: what runs and tasks belong to. Their domains are the operator's choice, the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flyteidl2.project import project_service_pb2

from signalbox.errors import AlreadyExists, NotFound
from signalbox.ids import ProjectKey, ScopeKey
from signalbox.op import Op
from signalbox.rules.roles import Permission
from signalbox.store import audit, projects
from signalbox.store.db import Database, Tx
from signalbox.store.projects import Position, Project, State


async def ensure_default(db: Database, org: str, ids: Sequence[str]) -> None:
    """Create the projects that a new installation begins with; those that exist, archived ones too, stay."""
    async with db.transaction() as tx:
        for project in ids:
            key = ProjectKey(org, project)
            definition = project_service_pb2.Project(id=project, name=project).SerializeToString()
            if await projects.insert(tx, key, definition, state=State.ACTIVE):
                await audit.append(tx, audit.Entry(org, "system", "project.create", str(key), ""))


async def require(tx: Tx, scope: ScopeKey, *, domains: Sequence[str]) -> None:
    """Raises NotFound unless something may be created in the project and domain."""
    project = await projects.get(tx, ProjectKey(scope.org, scope.project))
    if project is None:
        raise NotFound(f"project {scope.project}: not found", hint="create it with `flyte create project`")
    if project.state is State.ARCHIVED:
        raise NotFound(f"project {scope.project}: is archived", hint="activate it with `flyte update project`")
    if scope.domain not in domains:
        raise NotFound(f"domain {scope.domain}: not found", hint=f"there are {', '.join(domains)}")


async def create(op: Op, key: ProjectKey, definition: bytes, *, state: State) -> None:
    """Raises AlreadyExists."""
    op.require(Permission.PROJECT_WRITE)
    async with op.transaction() as tx:
        if not await projects.insert(tx, key, definition, state=state):
            raise AlreadyExists(f"project {key.project}: exists")
        await audit.append(tx, audit.Entry(key.org, str(op.who), "project.create", str(key), op.request_id))


async def update(op: Op, key: ProjectKey, definition: bytes, *, state: State) -> None:
    """Replace the whole project. Raises NotFound."""
    op.require(Permission.PROJECT_WRITE)
    async with op.transaction() as tx:
        if not await projects.update(tx, key, definition, state=state):
            raise NotFound(f"project {key.project}: not found")
        await audit.append(tx, audit.Entry(key.org, str(op.who), "project.update", str(key), op.request_id))


async def get(op: Op, key: ProjectKey) -> Project:
    """Raises NotFound."""
    op.require(Permission.PROJECT_READ)
    async with op.db.autocommit() as tx:
        project = await projects.get(tx, key)
    if project is None:
        raise NotFound(f"project {key.project}: not found")
    return project


class Page(NamedTuple):
    """`next` is None on the last page."""

    items: Sequence[Project]
    next: Position | None


async def page(
    op: Op,
    org: str,
    *,
    states: Sequence[State],
    ids: Sequence[str] | None,
    patterns: Sequence[str],
    after: Position | None,
    descending: bool,
    limit: int,
) -> Page:
    """Projects by time of creation."""
    op.require(Permission.PROJECT_READ)
    async with op.db.autocommit() as tx:
        found = await projects.page(
            tx, org, states=states, ids=ids, patterns=patterns, after=after, descending=descending, limit=limit + 1
        )
    shown = found[:limit]
    more = len(found) > limit
    return Page(shown, Position(shown[-1].created_at, shown[-1].id) if more else None)
