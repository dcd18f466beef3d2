"""Deployed tasks: every version stays, its TaskSpec by digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import RunKey, ScopeKey, TaskKey
from signalbox.rules.phases import Phase
from signalbox.store.db import Tx
from signalbox.store.run_views import ANY, Among


@dataclass(frozen=True, kw_only=True)
class NewTask:
    key: TaskKey
    spec_digest: bytes
    short_name: str
    environment: str
    description: str
    deployed_by: str
    is_entrypoint: bool


async def insert(tx: Tx, task: NewTask) -> bool:
    """False when this version exists; it stays as it is. The newest is told by the database's clock alone."""
    cursor = await tx.execute(
        """
        INSERT INTO task (org, project, domain, name, version, spec_digest, short_name, environment, description,
                          deployed_by, is_entrypoint)
        VALUES (%(org)s, %(project)s, %(domain)s, %(name)s, %(version)s, %(spec_digest)s, %(short_name)s,
                %(environment)s, %(description)s, %(deployed_by)s, %(is_entrypoint)s)
            ON CONFLICT ON CONSTRAINT task_pkey DO NOTHING
     RETURNING true""",
        task.key._asdict() | vars(task),
    )
    return await cursor.fetchone() is not None


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    org: str
    project: str
    domain: str
    name: str
    version: str
    short_name: str
    environment: str
    description: str
    deployed_by: str
    deployed_at: datetime

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.org, self.project, self.domain, self.name, self.version)


async def get(tx: Tx, key: TaskKey) -> tuple[TaskRow, bytes] | None:
    """The task with its serialized TaskSpec; None when this version is not deployed."""
    cursor = await tx.execute(
        """
        SELECT t.org, t.project, t.domain, t.name, t.version, t.short_name, t.environment, t.description,
               t.deployed_by, t.deployed_at, s.body
          FROM task t
          JOIN task_spec s ON (s.org, s.digest) = (t.org, t.spec_digest)
         WHERE t.org = %(org)s AND t.project = %(project)s AND t.domain = %(domain)s AND t.name = %(name)s
           AND t.version = %(version)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    names = ("org", "project", "domain", "name", "version", "short_name", "environment", "description")
    *plain, body = row
    return TaskRow(**dict(zip((*names, "deployed_by", "deployed_at"), plain, strict=True))), bytes(body)


async def spec(tx: Tx, key: TaskKey) -> bytes | None:
    """Serialized TaskSpec of a version; None when it is not deployed."""
    cursor = await tx.execute(
        """
        SELECT s.body
          FROM task t
          JOIN task_spec s ON (s.org, s.digest) = (t.org, t.spec_digest)
         WHERE t.org = %(org)s AND t.project = %(project)s AND t.domain = %(domain)s AND t.name = %(name)s
           AND t.version = %(version)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a list of tasks shows; each field narrows it further. Times: from (inclusive), until (exclusive)."""

    name: Among = ANY
    version: Among = ANY
    short_name: Among = ANY
    environment: Among = ANY
    deployed_by: Sequence[str] | None = None
    deployed_from: datetime | None = None
    deployed_until: datetime | None = None
    is_entrypoint: bool | None = None


class Position(NamedTuple):
    """Where a page ended."""

    at: datetime
    project: str
    domain: str
    name: str
    version: str


# True by its parameter alone where a condition is not asked for; `prepare=False` lets the planner see that.
_CONDITIONS = """
       AND (%(names)s::text[] IS NULL OR t.name = ANY (%(names)s::text[]))
       AND (%(name_patterns)s::text[] = '{}' OR t.name ~ ALL (%(name_patterns)s::text[]))
       AND (%(versions)s::text[] IS NULL OR t.version = ANY (%(versions)s::text[]))
       AND (%(version_patterns)s::text[] = '{}' OR t.version ~ ALL (%(version_patterns)s::text[]))
       AND (%(short_names)s::text[] IS NULL OR t.short_name = ANY (%(short_names)s::text[]))
       AND (%(short_name_patterns)s::text[] = '{}' OR t.short_name ~ ALL (%(short_name_patterns)s::text[]))
       AND (%(environments)s::text[] IS NULL OR t.environment = ANY (%(environments)s::text[]))
       AND (%(environment_patterns)s::text[] = '{}' OR t.environment ~ ALL (%(environment_patterns)s::text[]))
       AND (%(deployed_by)s::text[] IS NULL OR t.deployed_by = ANY (%(deployed_by)s::text[]))
       AND (%(deployed_from)s::timestamptz IS NULL OR t.deployed_at >= %(deployed_from)s::timestamptz)
       AND (%(deployed_until)s::timestamptz IS NULL OR t.deployed_at < %(deployed_until)s::timestamptz)
       AND (%(is_entrypoint)s::boolean IS NULL OR t.is_entrypoint = %(is_entrypoint)s::boolean)"""

# Of each name the version that was deployed last; project and domain are null for a whole org.
_NEWEST = """
     WHERE t.org = %(org)s
       AND (%(project)s::text IS NULL OR t.project = %(project)s::text)
       AND (%(domain)s::text IS NULL OR t.domain = %(domain)s::text)
       AND NOT EXISTS (
               SELECT 1 FROM task n
                WHERE (n.org, n.project, n.domain, n.name) = (t.org, t.project, t.domain, t.name)
                  AND (n.deployed_at, n.version) > (t.deployed_at, t.version))"""

_VERSIONS = """
     WHERE t.org = %(org)s AND t.project = %(project)s AND t.domain = %(domain)s AND t.name = %(name)s"""

_SELECT = """
    SELECT t.org, t.project, t.domain, t.name, t.version, t.short_name, t.environment, t.description, t.deployed_by,
           t.deployed_at
      FROM task t"""

_NEWEST_FIRST = """
       AND (t.deployed_at, t.project, t.domain, t.name, t.version)
           < (%(at)s::timestamptz, %(after_project)s, %(after_domain)s, %(after_name)s, %(after_version)s)
     ORDER BY t.deployed_at DESC, t.project DESC, t.domain DESC, t.name DESC, t.version DESC LIMIT %(limit)s"""
_OLDEST_FIRST = """
       AND (t.deployed_at, t.project, t.domain, t.name, t.version)
           > (%(at)s::timestamptz, %(after_project)s, %(after_domain)s, %(after_name)s, %(after_version)s)
     ORDER BY t.deployed_at, t.project, t.domain, t.name, t.version LIMIT %(limit)s"""

_TASKS_DESC = _SELECT + _NEWEST + _CONDITIONS + _NEWEST_FIRST
_TASKS_ASC = _SELECT + _NEWEST + _CONDITIONS + _OLDEST_FIRST
_VERSIONS_DESC = _SELECT + _VERSIONS + _CONDITIONS + _NEWEST_FIRST
_VERSIONS_ASC = _SELECT + _VERSIONS + _CONDITIONS + _OLDEST_FIRST
_COUNT = (
    """
    SELECT count(*), count(*) FILTER (WHERE true"""  # noqa: S608  # of literals, in this file
    + _CONDITIONS
    + ") FROM task t"
    + _NEWEST
)


async def newest(
    tx: Tx,
    org: str,
    scope: ScopeKey | None,
    conditions: Conditions,
    *,
    after: Position | None,
    descending: bool,
    limit: int,
) -> list[TaskRow]:
    """Up to `limit` tasks, each in its newest version, by when that was deployed, behind `after`."""
    cursor = tx.cursor(row_factory=class_row(TaskRow))
    await cursor.execute(
        _TASKS_DESC if descending else _TASKS_ASC,
        _scope(org, scope) | _parameters(conditions) | _after(after, descending=descending) | {"limit": limit},
        prepare=False,
    )
    return await cursor.fetchall()


async def count(tx: Tx, org: str, scope: ScopeKey | None, conditions: Conditions) -> tuple[int, int]:
    """How many tasks there are, and how many of them meet the conditions."""
    cursor = await tx.execute(_COUNT, _scope(org, scope) | _parameters(conditions), prepare=False)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate without groups has one row
    return row[0], row[1]


async def versions(
    tx: Tx, task: TaskKey, conditions: Conditions, *, after: Position | None, descending: bool, limit: int
) -> list[TaskRow]:
    """Up to `limit` versions of the task (the key's own is not looked at), by when they were deployed."""
    cursor = tx.cursor(row_factory=class_row(TaskRow))
    await cursor.execute(
        _VERSIONS_DESC if descending else _VERSIONS_ASC,
        _parameters(conditions) | _after(after, descending=descending) | task._asdict() | {"limit": limit},
        prepare=False,
    )
    return await cursor.fetchall()


@dataclass(frozen=True, kw_only=True)
class LatestRun:
    """The newest run of a task, or of one version of it."""

    org: str
    project: str
    domain: str
    run: str
    task_name: str
    task_version: str
    created_at: datetime
    phase: Phase

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase", Phase(self.phase))  # the driver gives the column's text

    @property
    def key(self) -> RunKey:
        return RunKey(self.org, self.project, self.domain, self.run)


_LATEST_RUN = """
    SELECT a.org, a.project, a.domain, a.run, a.task_name, a.task_version, a.created_at, a.phase
      FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(name)s::text[], %(version)s::text[])
        AS k (org, project, domain, name, version)
     CROSS JOIN LATERAL (
           SELECT r.org, r.project, r.domain, r.run, r.task_name, r.task_version, r.created_at, r.phase
             FROM action r
            WHERE (r.org, r.project, r.domain, r.task_name) = (k.org, k.project, k.domain, k.name)
              AND r.parent = ''"""
_LATEST_RUN_OF_TASK = (
    _LATEST_RUN
    + """
            ORDER BY r.created_at DESC, r.run DESC LIMIT 1) a"""
)
_LATEST_RUN_OF_VERSION = (
    _LATEST_RUN
    + """
              AND r.task_version = k.version
            ORDER BY r.created_at DESC, r.run DESC LIMIT 1) a"""
)


async def latest_runs(tx: Tx, keys: Sequence[TaskKey], *, of_version: bool) -> list[LatestRun]:
    """Of each of the tasks that ever ran in its own project and domain; of the very version, or of any."""
    cursor = tx.cursor(row_factory=class_row(LatestRun))
    await cursor.execute(
        _LATEST_RUN_OF_VERSION if of_version else _LATEST_RUN_OF_TASK,
        {field: [getattr(key, field) for key in keys] for field in TaskKey._fields},
    )
    return await cursor.fetchall()


def _scope(org: str, scope: ScopeKey | None) -> dict[str, object]:
    return {"org": org, "project": scope.project if scope else None, "domain": scope.domain if scope else None}


def _after(after: Position | None, *, descending: bool) -> dict[str, object]:
    return {
        "at": after.at if after else ("infinity" if descending else "-infinity"),
        "after_project": after.project if after else "",
        "after_domain": after.domain if after else "",
        "after_name": after.name if after else "",
        "after_version": after.version if after else "",
    }


def _parameters(conditions: Conditions) -> dict[str, object]:
    def values(among: Among) -> list[str] | None:
        return None if among.values is None else list(among.values)

    return {
        "names": values(conditions.name),
        "name_patterns": list(conditions.name.patterns),
        "versions": values(conditions.version),
        "version_patterns": list(conditions.version.patterns),
        "short_names": values(conditions.short_name),
        "short_name_patterns": list(conditions.short_name.patterns),
        "environments": values(conditions.environment),
        "environment_patterns": list(conditions.environment.patterns),
        "deployed_by": None if conditions.deployed_by is None else list(conditions.deployed_by),
        "deployed_from": conditions.deployed_from,
        "deployed_until": conditions.deployed_until,
        "is_entrypoint": conditions.is_entrypoint,
    }
