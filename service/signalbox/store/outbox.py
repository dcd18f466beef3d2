"""What clusters must still be told: written with the change that calls for it, removed when it has taken effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import ActionKey, ClusterKey
from signalbox.store.actions import columns
from signalbox.store.db import Tx


class NewAbort(NamedTuple):
    """Tell `cluster` to stop the attempt that it holds under `epoch`."""

    key: ActionKey
    cluster: str
    attempt: int
    epoch: int
    reason: str


async def insert_aborts(tx: Tx, aborts: Sequence[NewAbort]) -> None:
    """One a grant: asking again changes nothing."""
    await tx.execute(
        """
        INSERT INTO outbox (org, project, domain, run, action, topic, cluster, attempt, epoch, reason)
        SELECT n.org, n.project, n.domain, n.run, n.action, 'abort', n.cluster, n.attempt, n.epoch, n.reason
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(cluster)s::text[], %(attempt)s::integer[], %(epoch)s::bigint[], %(reason)s::text[])
            AS n (org, project, domain, run, action, cluster, attempt, epoch, reason)
            ON CONFLICT ON CONSTRAINT outbox_once DO NOTHING""",
        columns([a.key for a in aborts])
        | {field: [getattr(a, field) for a in aborts] for field in ("cluster", "attempt", "epoch", "reason")},
    )


@dataclass(frozen=True, kw_only=True)
class Abort:
    id: int
    org: str
    project: str
    domain: str
    run: str
    action: str
    attempt: int
    epoch: int
    reason: str

    @property
    def key(self) -> ActionKey:
        return ActionKey(self.org, self.project, self.domain, self.run, self.action)


async def aborts(tx: Tx, cluster: ClusterKey, *, after: int, limit: int = 1000) -> list[Abort]:
    """Aborts for the cluster with an id above `after`, in order; `limit` of them at most."""
    cursor = tx.cursor(row_factory=class_row(Abort))
    await cursor.execute(
        """
        SELECT id, org, project, domain, run, action, attempt, epoch, reason FROM outbox
         WHERE org = %(org)s AND cluster = %(cluster)s AND topic = 'abort' AND id > %(after)s
         ORDER BY id LIMIT %(limit)s""",
        cluster._asdict() | {"after": after, "limit": limit},
    )
    return await cursor.fetchall()


async def delete(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The actions' leases have ended: nothing is left to be told."""
    await tx.execute(
        """
        DELETE FROM outbox o
         USING unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action)
         WHERE (o.org, o.project, o.domain, o.run, o.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns(keys),
    )
