"""What happened to the actions of a run, append-only, one row a revision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase
from signalbox.store.actions import columns
from signalbox.store.db import Tx


class Kind(StrEnum):
    PHASE = "phase"
    ABORT = "abort"
    """An abort was asked for; `phase` is the one it met."""
    CONFLICT = "conflict"
    """A second, different result of the same attempt was refused; `phase` is the refused one."""


class Event(NamedTuple):
    key: ActionKey
    revision: int
    parent: str
    kind: Kind
    phase: Phase
    attempt: int
    epoch: int
    cluster: str
    occurred_at: datetime


async def append(tx: Tx, events: Sequence[Event]) -> None:
    """Revisions are those that the run's lock gave out, and the newest is the run's from now on.

    Call under `runs.lock`.
    """
    plain = [field for field in Event._fields if field != "key"]
    await tx.execute(
        """
          WITH n AS (
                INSERT INTO event (org, project, domain, run, action, revision, parent, kind, phase, attempt, epoch,
                                   cluster, occurred_at)
                SELECT * FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                                     %(action)s::text[], %(revision)s::bigint[], %(parent)s::text[], %(kind)s::text[],
                                     %(phase)s::text[], %(attempt)s::integer[], %(epoch)s::bigint[],
                                     %(cluster)s::text[], %(occurred_at)s::timestamptz[])
             RETURNING org, project, domain, run, revision)
        UPDATE run r SET revision = k.revision
          FROM (SELECT org, project, domain, run, max(revision) AS revision FROM n GROUP BY org, project, domain, run)
            AS k
         WHERE (r.org, r.project, r.domain, r.name) = (k.org, k.project, k.domain, k.run)""",
        columns([e.key for e in events]) | {field: [getattr(e, field) for e in events] for field in plain},
    )
