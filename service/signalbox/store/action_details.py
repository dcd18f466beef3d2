"""One action in full, for its page: its attempts, their history, and where its data lies.

The statements belong together: run them in one `Database.snapshot`, or phase and attempts may disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase
from signalbox.store.actions import Kind
from signalbox.store.db import Tx


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What an action's page shows and lists do not. `spec`: serialized TaskSpec; `run_spec`: serialized RunSpec."""

    spec: bytes | None
    run_spec: bytes
    abort_reason: str
    aborted_by: str
    value: bytes | None
    signalled_by: str


async def rest(tx: Tx, key: ActionKey) -> Rest | None:
    cursor = tx.cursor(row_factory=class_row(Rest))
    await cursor.execute(
        """
        SELECT s.body AS spec, r.run_spec, a.abort_reason, a.aborted_by, a.value, a.signalled_by
          FROM action a
          JOIN run r ON (r.org, r.project, r.domain, r.name) = (a.org, a.project, a.domain, a.run)
          LEFT JOIN task_spec s ON (s.org, s.digest) = (a.org, a.spec_digest)
         WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s AND a.run = %(run)s
           AND a.name = %(action)s""",
        key._asdict(),
    )
    return await cursor.fetchone()


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """`error`: serialized ErrorInfo. `log`: serialized ActionEvent with nothing but its log fields."""

    attempt: int
    phase: Phase
    cluster: str
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    output_uri: str
    error: bytes | None
    log: bytes | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "phase", Phase(self.phase))  # the driver gives the column's text


async def attempts(tx: Tx, key: ActionKey) -> list[Attempt]:
    """Past attempts and the current one, in order."""
    cursor = tx.cursor(row_factory=class_row(Attempt))
    await cursor.execute(
        """
        SELECT attempt, phase, cluster, queued_at, started_at, ended_at, output_uri, error, log
          FROM attempt
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND action = %(action)s
         UNION ALL
        SELECT attempt, phase, cluster, queued_at, started_at, ended_at, output_uri, error, log
          FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s
         ORDER BY attempt""",
        key._asdict(),
    )
    return await cursor.fetchall()


class Entered(NamedTuple):
    """An attempt entered a phase."""

    attempt: int
    phase: Phase
    at: datetime


async def history(tx: Tx, key: ActionKey) -> list[Entered]:
    """Every change of phase, in the order in which they were recorded."""
    cursor = await tx.execute(
        """
        SELECT attempt, phase, occurred_at FROM event
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND action = %(action)s AND kind = 'phase'
         ORDER BY revision""",
        key._asdict(),
    )
    return [Entered(attempt, Phase(phase), at) for attempt, phase, at in await cursor.fetchall()]


@dataclass(frozen=True, kw_only=True)
class Uris:
    """`output_uri` is empty before there are outputs; a folder for a task, a file for a trace."""

    kind: Kind
    input_uri: str
    output_uri: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))  # the driver gives the column's text


async def uris(tx: Tx, key: ActionKey) -> Uris | None:
    cursor = tx.cursor(row_factory=class_row(Uris))
    await cursor.execute(
        """
        SELECT kind, input_uri, output_uri FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s""",
        key._asdict(),
    )
    return await cursor.fetchone()


async def cluster(tx: Tx, key: ActionKey) -> str | None:
    """The cluster that ran the action's newest attempt, empty when none did yet; None when there is no such action."""
    cursor = await tx.execute(
        """
        SELECT cluster FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
