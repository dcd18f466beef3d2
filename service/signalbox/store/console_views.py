"""What the console's pages show of a run: a window of its actions and counts by phase, never the whole run.

Siblings of one group are a *part*: (parent, group). Parts are counted where they are too large to be listed. The
statements of one page belong together: run them in one `Database.snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import RunKey
from signalbox.rules.phases import Phase
from signalbox.store.actions import Kind
from signalbox.store.db import Tx
from signalbox.store.run_views import ActionPosition


@dataclass(frozen=True, kw_only=True)
class Line:
    """One action, as a line of its run's page. Times are those of the current attempt, but for `created_at`."""

    name: str
    parent: str
    kind: Kind
    group_name: str
    short_name: str
    phase: Phase
    attempt: int
    created_at: datetime
    created_revision: int
    started_at: datetime | None
    ended_at: datetime | None

    def __post_init__(self) -> None:
        # The driver gives the columns' text; members are compared by identity.
        object.__setattr__(self, "phase", Phase(self.phase))
        object.__setattr__(self, "kind", Kind(self.kind))


@dataclass(frozen=True, kw_only=True)
class Head:
    """A run and its root. `error`: serialized ErrorInfo."""

    revision: int
    task_name: str
    short_name: str
    created_by: str
    created_at: datetime
    labels: Mapping[str, str]
    phase: Phase
    started_at: datetime | None
    ended_at: datetime | None
    error: bytes | None
    abort_requested_at: datetime | None
    abort_reason: str
    aborted_by: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase", Phase(self.phase))  # the driver gives the column's text


async def head(tx: Tx, run: RunKey) -> Head | None:
    cursor = tx.cursor(row_factory=class_row(Head))
    await cursor.execute(
        """
        SELECT r.revision, a.task_name, a.short_name, r.created_by, r.created_at, r.labels, a.phase, a.started_at,
               a.ended_at, a.error, a.abort_requested_at, a.abort_reason, a.aborted_by
          FROM run r
          JOIN action a ON (a.org, a.project, a.domain, a.run) = (r.org, r.project, r.domain, r.name)
         WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s AND r.name = %(run)s
           AND a.name = 'a0'""",
        run._asdict(),
    )
    return await cursor.fetchone()


async def counts(tx: Tx, run: RunKey) -> dict[Phase, int]:
    """How many actions of the run are in each phase; phases without any are missing."""
    cursor = await tx.execute(
        """
        SELECT phase, count(*) FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
         GROUP BY phase""",
        run._asdict(),
    )
    return {Phase(phase): count for phase, count in await cursor.fetchall()}


class Part(NamedTuple):
    """The children of `parent` in `group_name` (empty: in none), counted by phase; `created_revision` of the first."""

    parent: str
    group_name: str
    created_revision: int
    phases: dict[Phase, int]

    @property
    def size(self) -> int:
        return sum(self.phases.values())


async def parts(tx: Tx, run: RunKey, parents: Sequence[str]) -> list[Part]:
    """The parts below the parents, in order of creation."""
    cursor = await tx.execute(
        """
        SELECT parent, group_name, phase, count(*), min(created_revision) FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND parent = ANY (%(parents)s::text[]) AND parent >= ''
         GROUP BY parent, group_name, phase
         ORDER BY min(created_revision)""",
        run._asdict() | {"parents": list(parents)},
    )
    found: dict[tuple[str, str], Part] = {}
    for parent, group_name, phase, count, first in await cursor.fetchall():
        part = found.setdefault((parent, group_name), Part(parent, group_name, first, {}))
        part.phases[Phase(phase)] = count
    return list(found.values())


_MEMBERS = """
    SELECT m.name, m.parent, m.kind, m.group_name, m.short_name, m.phase, m.attempt, m.created_at,
           m.created_revision, m.started_at, m.ended_at
      FROM unnest(%(parents)s::text[], %(groups)s::text[]) AS p (parent, group_name)
     CROSS JOIN LATERAL (
           SELECT a.name, a.parent, a.kind, a.group_name, a.short_name, a.phase, a.attempt, a.created_at,
                  a.created_revision, a.started_at, a.ended_at
             FROM action a
            WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s AND a.run = %(run)s
              AND a.parent = p.parent AND a.parent >= '' AND a.group_name = p.group_name
              AND (%(phases)s::text[] IS NULL OR a.phase = ANY (%(phases)s::text[]))
            ORDER BY a.created_revision LIMIT %(each)s) AS m
     ORDER BY m.created_revision LIMIT %(limit)s"""

_PAGE = """
    SELECT a.name, a.parent, a.kind, a.group_name, a.short_name, a.phase, a.attempt, a.created_at,
           a.created_revision, a.started_at, a.ended_at
      FROM action a
     WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s AND a.run = %(run)s
       AND (%(phases)s::text[] IS NULL OR a.phase = ANY (%(phases)s::text[]))
       AND (%(parent)s::text IS NULL OR a.parent = %(parent)s::text)
       AND (%(group)s::text IS NULL OR a.group_name = %(group)s::text)
       AND a.created_revision >= 0 AND a.created_revision > %(after_revision)s::bigint
     ORDER BY a.created_revision LIMIT %(limit)s"""


async def members(
    tx: Tx, run: RunKey, parts_: Sequence[Part], *, phases: Sequence[Phase] | None, each: int, limit: int
) -> list[Line]:
    """Up to `limit` actions of the parts in order of creation, of each part up to `each`, in one of `phases`."""
    cursor = tx.cursor(row_factory=class_row(Line))
    await cursor.execute(
        _MEMBERS,
        run._asdict()
        | {
            "parents": [part.parent for part in parts_],
            "groups": [part.group_name for part in parts_],
            "phases": _words(phases),
            "each": each,
            "limit": limit,
        },
    )
    return await cursor.fetchall()


async def page(
    tx: Tx,
    run: RunKey,
    *,
    phases: Sequence[Phase] | None,
    parent: str | None,
    group: str | None,
    after: ActionPosition | None,
    limit: int,
) -> list[Line]:
    """Up to `limit` actions in order of creation: in one of the phases, below the parent, in the group (None: any)."""
    position = after or ActionPosition(-1)
    cursor = tx.cursor(row_factory=class_row(Line))
    await cursor.execute(
        _PAGE,
        run._asdict()
        | {
            "phases": _words(phases),
            "parent": parent,
            "group": group,
            "after_revision": position.created_revision,
            "limit": limit,
        },
    )
    return await cursor.fetchall()


def _words(phases: Sequence[Phase] | None) -> list[str] | None:
    return None if phases is None else [str(phase) for phase in phases]
