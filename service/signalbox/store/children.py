"""What a parent is told of its children: one look at one revision of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase
from signalbox.store.db import Tx


class Child(NamedTuple):
    """`output_uri`: a folder for a task, a file for a trace. `error`, `value`: serialized ErrorInfo, Literal."""

    name: str
    phase: Phase
    output_uri: str
    error: bytes | None
    error_recoverable: bool
    value: bytes | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """Children as of `revision` of the run, in the order in which they last changed."""

    revision: int
    children: Sequence[Child]


async def snapshot(tx: Tx, parent: ActionKey) -> Look | None:
    """Every child; None when the run or the parent does not exist."""
    cursor = await tx.execute(
        """
        SELECT r.revision, c.name, c.phase, c.output_uri, c.error, c.error_recoverable, c.value
          FROM run r
          JOIN action p ON (p.org, p.project, p.domain, p.run) = (r.org, r.project, r.domain, r.name)
           AND p.name = %(action)s
          LEFT JOIN action c ON (c.org, c.project, c.domain, c.run, c.parent)
                              = (p.org, p.project, p.domain, p.run, p.name) AND c.parent >= ''
         WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s AND r.name = %(run)s
         ORDER BY c.revision""",
        parent._asdict(),
    )
    return _look(await cursor.fetchall())


async def changed(tx: Tx, parent: ActionKey, *, after: int) -> Look | None:
    """Children that changed after `after`, each once, as they are now; None when the run is gone."""
    cursor = await tx.execute(
        """
        SELECT r.revision, c.name, c.phase, c.output_uri, c.error, c.error_recoverable, c.value
          FROM run r
          LEFT JOIN (
                SELECT DISTINCT action FROM event
                 WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                   AND revision > %(after)s AND parent = %(action)s) e ON true
          LEFT JOIN action c ON (c.org, c.project, c.domain, c.run, c.name)
                              = (r.org, r.project, r.domain, r.name, e.action)
         WHERE r.org = %(org)s AND r.project = %(project)s AND r.domain = %(domain)s AND r.name = %(run)s
         ORDER BY c.revision""",
        parent._asdict() | {"after": after},
    )
    return _look(await cursor.fetchall())


def _look(rows: Sequence[tuple[object, ...]]) -> Look | None:
    if not rows:
        return None
    children = [_child(row[1:]) for row in rows if row[1] is not None]
    return Look(revision=int(str(rows[0][0])), children=children)


def _child(row: Sequence[object]) -> Child:
    name, phase, output_uri, error, recoverable, value = row
    return Child(
        str(name),
        Phase(str(phase)),
        str(output_uri),
        bytes(error) if isinstance(error, bytes) else None,
        bool(recoverable),
        bytes(value) if isinstance(value, bytes) else None,
    )
