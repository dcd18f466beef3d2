"""Projects of an org."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import ProjectKey
from signalbox.store.db import Tx


class State(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, kw_only=True)
class Project:
    """`definition`: serialized flyteidl2 Project, without org, domains and state."""

    org: str
    id: str
    state: State
    definition: bytes
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))  # the driver gives the column's text


async def insert(tx: Tx, key: ProjectKey, definition: bytes, *, state: State) -> bool:
    """False when a project of this id exists; it stays as it is."""
    cursor = await tx.execute(
        """
        INSERT INTO project (org, id, state, definition)
        VALUES (%(org)s, %(project)s, %(state)s, %(definition)s)
            ON CONFLICT ON CONSTRAINT project_pkey DO NOTHING
     RETURNING true""",
        key._asdict() | {"state": state, "definition": definition},
    )
    return await cursor.fetchone() is not None


async def update(tx: Tx, key: ProjectKey, definition: bytes, *, state: State) -> bool:
    """False when there is no such project."""
    cursor = await tx.execute(
        """
        UPDATE project SET state = %(state)s, definition = %(definition)s
         WHERE org = %(org)s AND id = %(project)s
     RETURNING true""",
        key._asdict() | {"state": state, "definition": definition},
    )
    return await cursor.fetchone() is not None


async def get(tx: Tx, key: ProjectKey) -> Project | None:
    cursor = tx.cursor(row_factory=class_row(Project))
    await cursor.execute(
        """
        SELECT org, id, state, definition, created_at FROM project
         WHERE org = %(org)s AND id = %(project)s""",
        key._asdict(),
    )
    return await cursor.fetchone()


class Position(NamedTuple):
    """Where a page ended."""

    at: datetime
    id: str


async def page(
    tx: Tx,
    org: str,
    *,
    states: Sequence[State],
    ids: Sequence[str] | None,
    patterns: Sequence[str],
    after: Position | None,
    descending: bool,
    limit: int,
) -> list[Project]:
    """Up to `limit` projects in one of `states` with one of `ids`, by time of creation, behind `after`."""
    cursor = tx.cursor(row_factory=class_row(Project))
    await cursor.execute(
        _NEWEST_FIRST if descending else _OLDEST_FIRST,
        {
            "org": org,
            "states": [str(state) for state in states],
            "ids": None if ids is None else list(ids),
            "patterns": list(patterns),
            "at": after.at if after else ("infinity" if descending else "-infinity"),
            "after": after.id if after else "",
            "limit": limit,
        },
    )
    return await cursor.fetchall()


_SELECT = """
    SELECT org, id, state, definition, created_at FROM project
     WHERE org = %(org)s AND state = ANY (%(states)s::text[])
       AND (%(ids)s::text[] IS NULL OR id = ANY (%(ids)s::text[])) AND id ~ ALL (%(patterns)s::text[])"""
_NEWEST_FIRST = (
    _SELECT
    + """
       AND (created_at, id) < (%(at)s::timestamptz, %(after)s)
     ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""
)
_OLDEST_FIRST = (
    _SELECT
    + """
       AND (created_at, id) > (%(at)s::timestamptz, %(after)s)
     ORDER BY created_at, id LIMIT %(limit)s"""
)
