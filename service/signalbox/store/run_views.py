"""Runs and actions as they are shown: pages of lists, one action in full, and what changed since a revision.

Pages go on after a key and never from an offset, so that nothing is skipped or repeated while rows are inserted. The
statements are put together from the literals below at import, never from values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signalbox.ids import ActionKey, RunKey, ScopeKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.store.actions import Kind
from signalbox.store.db import Tx


@dataclass(frozen=True, kw_only=True)
class ActionRow:
    """One action as lists show it; `run_spec` and `labels` only for the root of its run.

    `definition`: serialized TaskAction without its spec, TraceAction or ConditionAction. `recovered_from`:
    project/domain/run of the action of this name whose result this one has taken over, or empty. `run_spec`:
    serialized RunSpec.
    """

    org: str
    project: str
    domain: str
    run: str
    name: str
    parent: str
    kind: Kind
    group_name: str
    definition: bytes
    spec_digest: bytes | None
    task_name: str
    short_name: str
    environment: str
    created_by: str
    created_at: datetime
    created_revision: int
    revision: int
    phase: Phase
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    cache_status: CacheStatus
    recovered_from: str
    source: int
    run_spec: bytes | None
    labels: Mapping[str, str] | None

    def __post_init__(self) -> None:
        # The driver gives the columns' text; members are compared by identity.
        object.__setattr__(self, "phase", Phase(self.phase))
        object.__setattr__(self, "kind", Kind(self.kind))
        object.__setattr__(self, "cache_status", CacheStatus(self.cache_status))

    @property
    def key(self) -> ActionKey:
        return ActionKey(self.org, self.project, self.domain, self.run, self.name)


class Among(NamedTuple):
    """A condition on a text: one of `values` (None: any), and matching all of `patterns` (regular expressions)."""

    values: Sequence[str] | None = None
    patterns: Sequence[str] = ()


ANY = Among()


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a list shows; each field narrows it further. Times: from (inclusive), until (exclusive).

    `labels` must all be there with these values, `label_keys` with any; of `no_label_keys` none.
    """

    phases: Sequence[Phase] | None = None
    kinds: Sequence[Kind] | None = None
    parents: Sequence[str] | None = None
    created_by: Sequence[str] | None = None
    name: Among = ANY
    task_name: Among = ANY
    task_version: Among = ANY
    short_name: Among = ANY
    created_from: datetime | None = None
    created_until: datetime | None = None
    updated_from: datetime | None = None
    updated_until: datetime | None = None
    labels: Sequence[tuple[str, str]] = ()
    label_keys: Sequence[str] = ()
    no_label_keys: Sequence[str] = ()
    paused_only: bool = False
    cluster: str | None = None


_SELECT = """
    SELECT a.org, a.project, a.domain, a.run, a.name, a.parent, a.kind, a.group_name, a.definition, a.spec_digest,
           a.task_name, a.short_name, a.environment, a.created_by, a.created_at, a.created_revision, a.revision,
           a.phase, a.attempt, a.started_at, a.ended_at, a.cache_status, a.recovered_from, r.source,
           CASE WHEN a.parent = '' THEN r.run_spec END AS run_spec,
           CASE WHEN a.parent = '' THEN r.labels END AS labels
      FROM run r
      JOIN action a ON (a.org, a.project, a.domain, a.run) = (r.org, r.project, r.domain, r.name)"""

# A condition that is not asked for is true by its parameter alone, and the planner must see that, or it takes all of
# them together for so rare that it reads everything and sorts: hence `prepare=False` wherever these are executed.
_CONDITIONS = """
       AND (%(phases)s::text[] IS NULL OR a.phase = ANY (%(phases)s::text[]))
       AND (%(kinds)s::text[] IS NULL OR a.kind = ANY (%(kinds)s::text[]))
       AND (%(parents)s::text[] IS NULL OR a.parent = ANY (%(parents)s::text[]))
       AND (%(created_by)s::text[] IS NULL OR a.created_by = ANY (%(created_by)s::text[]))
       AND (%(task_names)s::text[] IS NULL OR a.task_name = ANY (%(task_names)s::text[]))
       AND (%(task_name_patterns)s::text[] = '{}' OR a.task_name ~ ALL (%(task_name_patterns)s::text[]))
       AND (%(task_versions)s::text[] IS NULL OR a.task_version = ANY (%(task_versions)s::text[]))
       AND (%(task_version_patterns)s::text[] = '{}' OR a.task_version ~ ALL (%(task_version_patterns)s::text[]))
       AND (%(short_names)s::text[] IS NULL OR a.short_name = ANY (%(short_names)s::text[]))
       AND (%(short_name_patterns)s::text[] = '{}' OR a.short_name ~ ALL (%(short_name_patterns)s::text[]))
       AND (%(cluster)s::text IS NULL OR a.cluster = %(cluster)s::text)
       AND (%(created_from)s::timestamptz IS NULL OR a.created_at >= %(created_from)s::timestamptz)
       AND (%(created_until)s::timestamptz IS NULL OR a.created_at < %(created_until)s::timestamptz)
       AND (%(updated_from)s::timestamptz IS NULL
            OR greatest(a.created_at, a.queued_at, a.started_at, a.ended_at) >= %(updated_from)s::timestamptz)
       AND (%(updated_until)s::timestamptz IS NULL
            OR greatest(a.created_at, a.queued_at, a.started_at, a.ended_at) < %(updated_until)s::timestamptz)"""

# OFFSET 0: only in the runs that are looked at, or the planner looks for paused actions of all runs first.
_RUN_CONDITIONS = (
    _CONDITIONS  # noqa: S608  # of literals, in this file
    + """
       AND a.parent = ''
       AND (%(outcomes)s::text[] IS NULL OR r.outcome = ANY (%(outcomes)s::text[]))
       AND (%(names)s::text[] IS NULL OR r.name = ANY (%(names)s::text[]))
       AND (%(name_patterns)s::text[] = '{}' OR r.name ~ ALL (%(name_patterns)s::text[]))
       AND (%(labels)s::jsonb[] = '{}' OR r.labels @> ALL (%(labels)s::jsonb[]))
       AND (%(label_keys)s::text[] = '{}' OR r.labels ?& %(label_keys)s::text[])
       AND (%(no_label_keys)s::text[] = '{}' OR NOT r.labels ?| %(no_label_keys)s::text[])
       AND (NOT %(paused_only)s OR a.phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
            AND EXISTS (
               SELECT 1 FROM action p
                WHERE (p.org, p.project, p.domain, p.run) = (r.org, r.project, r.domain, r.name)
                  AND p.phase = 'paused' OFFSET 0))"""
)

_ACTION_CONDITIONS = (
    _CONDITIONS
    + """
       AND (%(names)s::text[] IS NULL OR a.name = ANY (%(names)s::text[]))
       AND (%(name_patterns)s::text[] = '{}' OR a.name ~ ALL (%(name_patterns)s::text[]))"""
)

# Newest or oldest first, within an org, within a project and domain, and of one task (its own index leads to the runs).
_RUNS_OF_ORG_DESC = (
    _SELECT
    + """
     WHERE r.org = %(org)s
       AND (r.created_at, r.project, r.domain, r.name)
           < (%(at)s::timestamptz, %(after_project)s, %(after_domain)s, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY r.created_at DESC, r.project DESC, r.domain DESC, r.name DESC LIMIT %(limit)s"""
)
_RUNS_OF_ORG_ASC = (
    _SELECT
    + """
     WHERE r.org = %(org)s
       AND (r.created_at, r.project, r.domain, r.name)
           > (%(at)s::timestamptz, %(after_project)s, %(after_domain)s, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY r.created_at, r.project, r.domain, r.name LIMIT %(limit)s"""
)
_RUNS_DESC = (
    _SELECT
    + """
     WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s
       AND (r.created_at, r.name) < (%(at)s::timestamptz, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY r.created_at DESC, r.name DESC LIMIT %(limit)s"""
)
_RUNS_ASC = (
    _SELECT
    + """
     WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s
       AND (r.created_at, r.name) > (%(at)s::timestamptz, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY r.created_at, r.name LIMIT %(limit)s"""
)
_RUNS_OF_TASK_DESC = (
    _SELECT
    + """
     WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s
       AND a.task_name = %(task_name)s
       AND (a.created_at, a.run) < (%(at)s::timestamptz, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY a.created_at DESC, a.run DESC LIMIT %(limit)s"""
)
_RUNS_OF_TASK_ASC = (
    _SELECT
    + """
     WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s
       AND a.task_name = %(task_name)s
       AND (a.created_at, a.run) > (%(at)s::timestamptz, %(after_name)s)"""
    + _RUN_CONDITIONS
    + """
     ORDER BY a.created_at, a.run LIMIT %(limit)s"""
)

# In order of creation in the run, or against it.
_IN_RUN = """
     WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s AND r.name = %(run)s
       AND a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s AND a.run = %(run)s"""
_ACTIONS_ASC = (
    _SELECT
    + _IN_RUN
    + """
       AND a.created_revision >= 0 AND a.created_revision > %(at)s::bigint"""
    + _ACTION_CONDITIONS
    + """
     ORDER BY a.created_revision LIMIT %(limit)s"""
)
_ACTIONS_DESC = (
    _SELECT
    + _IN_RUN
    + """
       AND a.created_revision >= 0 AND a.created_revision < %(at)s::bigint"""
    + _ACTION_CONDITIONS
    + """
     ORDER BY a.created_revision DESC LIMIT %(limit)s"""
)
_ACTIONS_NAMED = (
    _SELECT
    + _IN_RUN
    + """
       AND a.name = ANY (%(names)s::text[])
     ORDER BY a.created_revision"""
)
_ROOTS_NAMED = (
    _SELECT
    + """
      JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[])
        AS k (org, project, domain, run)
        ON (k.org, k.project, k.domain, k.run) = (r.org, r.project, r.domain, r.name)
     WHERE a.parent = ''
     ORDER BY a.created_at, a.run"""
)


class RunPosition(NamedTuple):
    """Where a page of runs ended."""

    at: datetime
    project: str
    domain: str
    name: str


class ActionPosition(NamedTuple):
    """Where a page of actions ended: order of creation in the run, in which no two are at one place."""

    created_revision: int


async def runs(
    tx: Tx,
    org: str,
    scope: ScopeKey | None,
    conditions: Conditions,
    *,
    after: RunPosition | None,
    descending: bool,
    limit: int,
) -> list[ActionRow]:
    """Roots of up to `limit` runs of the org, or of `scope` in it, by time of creation, behind `after`."""
    parameters = (
        _parameters(conditions)
        | {"org": org, "limit": limit, "at": after.at if after else ("infinity" if descending else "-infinity")}
        | {f"after_{field}": getattr(after, field) if after else "" for field in ("project", "domain", "name")}
    )
    names = conditions.task_name.values
    if scope is None:
        statement = _RUNS_OF_ORG_DESC if descending else _RUNS_OF_ORG_ASC
    elif names is not None and len(names) == 1:
        statement = _RUNS_OF_TASK_DESC if descending else _RUNS_OF_TASK_ASC
        parameters |= {"task_name": names[0]}
    else:
        statement = _RUNS_DESC if descending else _RUNS_ASC
    if scope is not None:
        parameters |= {"project": scope.project, "domain": scope.domain}
    cursor = tx.cursor(row_factory=class_row(ActionRow))
    await cursor.execute(statement, parameters, prepare=False)
    return await cursor.fetchall()


async def roots(tx: Tx, keys: Sequence[RunKey]) -> list[ActionRow]:
    """Roots of the runs that exist, oldest first."""
    cursor = tx.cursor(row_factory=class_row(ActionRow))
    await cursor.execute(_ROOTS_NAMED, {field: [getattr(key, field) for key in keys] for field in RunKey._fields})
    return await cursor.fetchall()


async def actions(
    tx: Tx,
    run: RunKey,
    conditions: Conditions,
    *,
    after: ActionPosition | None,
    descending: bool,
    limit: int,
) -> list[ActionRow]:
    """Up to `limit` actions of the run in order of creation (or against it), behind `after`."""
    position = after or ActionPosition(2**63 - 1 if descending else -1)
    parameters = _parameters(conditions) | run._asdict() | {"limit": limit, "at": position.created_revision}
    cursor = tx.cursor(row_factory=class_row(ActionRow))
    await cursor.execute(_ACTIONS_DESC if descending else _ACTIONS_ASC, parameters, prepare=False)
    return await cursor.fetchall()


async def named(tx: Tx, run: RunKey, names: Sequence[str]) -> list[ActionRow]:
    """Those of the actions that exist, in order of creation."""
    cursor = tx.cursor(row_factory=class_row(ActionRow))
    await cursor.execute(_ACTIONS_NAMED, run._asdict() | {"names": list(names)})
    return await cursor.fetchall()


async def newest_revision(tx: Tx, run: RunKey) -> int | None:
    """Revision of the run's last change; None when there is no such run."""
    cursor = await tx.execute(
        """
        SELECT revision FROM run
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s""",
        run._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def revision(tx: Tx, key: ActionKey) -> int | None:
    """Revision of the action's last change; None when there is no such action."""
    cursor = await tx.execute(
        """
        SELECT revision FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


class Touched(NamedTuple):
    """What a stretch of the run's history concerns: the actions, and the parents whose counts it changed."""

    upto: int
    names: frozenset[str]


async def touched(tx: Tx, run: RunKey, *, after: int, limit: int) -> Touched:
    """The next up to `limit` events behind revision `after`; `upto` is `after` when there is none."""
    cursor = await tx.execute(
        """
        SELECT revision, action, parent FROM event
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND revision > %(after)s
         ORDER BY revision LIMIT %(limit)s""",
        run._asdict() | {"after": after, "limit": limit},
    )
    rows = await cursor.fetchall()
    names = frozenset(name for _, action, parent in rows for name in (action, parent) if name)
    return Touched(rows[-1][0] if rows else after, names)


async def phase_counts(tx: Tx, run: RunKey, parents: Sequence[str]) -> dict[str, dict[Phase, int]]:
    """How many direct children of each action are in each phase; actions without children are missing."""
    cursor = await tx.execute(
        """
        SELECT parent, phase, count(*) FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND parent = ANY (%(parents)s::text[]) AND parent >= ''
         GROUP BY parent, phase""",
        run._asdict() | {"parents": list(parents)},
    )
    counts: dict[str, dict[Phase, int]] = {}
    for parent, phase, count in await cursor.fetchall():
        counts.setdefault(parent, {})[Phase(phase)] = count
    return counts


def _parameters(conditions: Conditions) -> dict[str, object]:
    return {
        "phases": _listed(conditions.phases),
        # of runs, which have an index of how they ended: the phases that are looked for, when all of them are ends
        "outcomes": _listed(conditions.phases if TERMINAL.issuperset(conditions.phases or [Phase.QUEUED]) else None),
        "kinds": _listed(conditions.kinds),
        "parents": _listed(conditions.parents),
        "created_by": _listed(conditions.created_by),
        "names": _listed(conditions.name.values),
        "name_patterns": list(conditions.name.patterns),
        "task_names": _listed(conditions.task_name.values),
        "task_name_patterns": list(conditions.task_name.patterns),
        "task_versions": _listed(conditions.task_version.values),
        "task_version_patterns": list(conditions.task_version.patterns),
        "short_names": _listed(conditions.short_name.values),
        "short_name_patterns": list(conditions.short_name.patterns),
        "created_from": conditions.created_from,
        "created_until": conditions.created_until,
        "updated_from": conditions.updated_from,
        "updated_until": conditions.updated_until,
        "labels": [Jsonb({key: value}) for key, value in conditions.labels],
        "label_keys": list(conditions.label_keys),
        "no_label_keys": list(conditions.no_label_keys),
        "paused_only": conditions.paused_only,
        "cluster": conditions.cluster,
    }


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else [str(value) for value in values]
