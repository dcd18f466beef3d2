"""Deployed tasks. A version is deployed once and never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from signalbox.control import projects
from signalbox.errors import AlreadyExists, NotFound
from signalbox.ids import ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.rules.roles import Permission
from signalbox.store import audit, specs, tasks
from signalbox.store.tasks import Conditions, LatestRun, NewTask, Position, TaskRow


async def deploy(op: Op, task: NewTask, spec: bytes, *, domains: Sequence[str]) -> None:
    """Keep a version and its serialized TaskSpec, whose digest `task` has.

    Raises NotFound for project or domain, and AlreadyExists for a version that is deployed: the SDK takes that for
    success when it deploys the same code again.
    """
    op.require(Permission.TASK_DEPLOY)
    key = task.key
    async with op.transaction() as tx:
        await projects.require(tx, key.scope, domains=domains)
        await specs.intern(tx, key.org, {task.spec_digest: spec})
        if not await tasks.insert(tx, task):
            same = await tasks.spec(tx, key) == spec
            what = "is deployed" if same else "is deployed with another spec, and a version never changes"
            raise AlreadyExists(f"task {key}: {what}")
        await audit.append(tx, audit.Entry(key.org, str(op.who), "task.deploy", str(key), op.request_id))


async def get(op: Op, key: TaskKey) -> tuple[TaskRow, bytes]:
    """The task and its serialized TaskSpec. Raises NotFound."""
    op.require(Permission.TASK_READ)
    async with op.db.autocommit() as tx:
        found = await tasks.get(tx, key)
    if found is None:
        raise NotFound(f"task {key}: not found")
    return found


class Page(NamedTuple):
    """`latest` by the task's key; tasks that never ran are missing. `next` is None on the last page."""

    items: Sequence[TaskRow]
    latest: Mapping[TaskKey, LatestRun]
    next: Position | None


class Counts(NamedTuple):
    total: int
    filtered: int


async def newest(
    op: Op,
    org: str,
    scope: ScopeKey | None,
    conditions: Conditions,
    *,
    after: Position | None,
    descending: bool,
    limit: int,
) -> tuple[Page, Counts]:
    """Tasks in their newest version, by when it was deployed."""
    op.require(Permission.TASK_READ)
    async with op.db.snapshot() as tx:
        rows = await tasks.newest(tx, org, scope, conditions, after=after, descending=descending, limit=limit + 1)
        counts = Counts(*await tasks.count(tx, org, scope, conditions))
        runs = await tasks.latest_runs(tx, [row.key for row in rows[:limit]], of_version=False)
    by_name = {(run.org, run.project, run.domain, run.task_name): run for run in runs}
    latest = {row.key: by_name[row.key[:4]] for row in rows[:limit] if row.key[:4] in by_name}
    return _page(rows, latest, limit), counts


async def versions(
    op: Op, task: TaskKey, conditions: Conditions, *, after: Position | None, descending: bool, limit: int
) -> Page:
    """Versions of a task (the key's own is not looked at), by when they were deployed. Empty for an unknown task."""
    op.require(Permission.TASK_READ)
    async with op.db.snapshot() as tx:
        rows = await tasks.versions(tx, task, conditions, after=after, descending=descending, limit=limit + 1)
        runs = await tasks.latest_runs(tx, [row.key for row in rows[:limit]], of_version=True)
    latest = {TaskKey(run.org, run.project, run.domain, run.task_name, run.task_version): run for run in runs}
    return _page(rows, latest, limit)


def _page(rows: Sequence[TaskRow], latest: Mapping[TaskKey, LatestRun], limit: int) -> Page:
    shown = rows[:limit]
    if len(rows) <= limit:
        return Page(shown, latest, None)
    last = shown[-1]
    return Page(shown, latest, Position(last.deployed_at, last.project, last.domain, last.name, last.version))
