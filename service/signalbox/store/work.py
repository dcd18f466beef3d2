"""Live work and its leases: one row for each task action that is not over.

A grant is the triple (cluster, attempt, epoch) in this table; the epoch grows with each grant and is minted by the
statement that grants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import ActionKey, ClusterKey, RunKey
from signalbox.store.actions import columns
from signalbox.store.db import Tx


async def insert(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """First attempts, waiting. Arrival order is the order of `keys`."""
    await tx.execute(
        """
        INSERT INTO work (org, project, domain, run, action, attempt)
        SELECT *, 1 FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                                %(action)s::text[])""",
        columns(keys),
    )


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What a cluster must know to begin."""

    org: str
    project: str
    domain: str
    run: str
    action: str
    attempt: int
    epoch: int
    parent: str
    group_name: str
    spec_digest: bytes
    input_uri: str
    output_base: str

    @property
    def key(self) -> ActionKey:
        return ActionKey(self.org, self.project, self.domain, self.run, self.action)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Grants in order of arrival; `full`: the cluster holds, with these, all that it wants to."""

    granted: list[Granted]
    full: bool


async def claim(tx: Tx, cluster: ClusterKey, *, stream: int, limit: int) -> Claim | None:
    """Lease up to `limit` waiting attempts to the cluster, oldest first. None: the stream is no longer its newest.

    Two callers never get the same attempt; neither waits for the other.
    """
    # FOR SHARE: a newer stream that takes over waits until these grants are visible to its own sweep.
    current = await tx.execute(
        """
        SELECT capacity - (SELECT count(*) FROM work w WHERE w.org = c.org AND w.cluster = c.name)
          FROM cluster c WHERE org = %(org)s AND name = %(cluster)s AND stream = %(stream)s FOR SHARE OF c""",
        cluster._asdict() | {"stream": stream},
    )
    row = await current.fetchone()
    if row is None:
        return None
    room = max(0, row[0])
    cursor = tx.cursor(row_factory=class_row(Granted))
    await cursor.execute(
        """
          WITH oldest AS MATERIALIZED (
                SELECT org, project, domain, run, action FROM work
                 WHERE org = %(org)s AND cluster IS NULL
                 ORDER BY id LIMIT %(limit)s
                   FOR NO KEY UPDATE SKIP LOCKED),
               granted AS (
                UPDATE work w
                   SET cluster = %(cluster)s, epoch = w.epoch + 1, granted_at = clock_timestamp()
                  FROM oldest o
                 WHERE (w.org, w.project, w.domain, w.run, w.action) = (o.org, o.project, o.domain, o.run, o.action)
             RETURNING w.org, w.project, w.domain, w.run, w.action, w.id, w.attempt, w.epoch)
        SELECT g.org, g.project, g.domain, g.run, g.action, g.attempt, g.epoch, a.parent, a.group_name,
               a.spec_digest, a.input_uri, a.output_base
          FROM granted g
          JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (g.org, g.project, g.domain, g.run, g.action)
         ORDER BY g.id""",
        cluster._asdict() | {"limit": min(limit, room)},
    )
    granted = await cursor.fetchall()
    return Claim(granted=granted, full=len(granted) == room)


class Held(NamedTuple):
    key: ActionKey
    attempt: int
    epoch: int


async def held_by(tx: Tx, cluster: ClusterKey) -> list[Held]:
    """All that the cluster holds, in arrival order."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, run, action, attempt, epoch FROM work
         WHERE org = %(org)s AND cluster = %(cluster)s ORDER BY id""",
        cluster._asdict(),
    )
    return [Held(ActionKey(*row[:5]), row[5], row[6]) for row in await cursor.fetchall()]


async def of_silent_clusters(tx: Tx, *, ttl: timedelta, limit: int) -> list[tuple[ClusterKey, Held]]:
    """Up to `limit` grants of clusters not heard of for longer than `ttl`, by the database's clock."""
    cursor = await tx.execute(
        """
        SELECT c.org, c.name, w.org, w.project, w.domain, w.run, w.action, w.attempt, w.epoch
          FROM cluster c
          JOIN work w ON w.org = c.org AND w.cluster = c.name
         WHERE c.last_seen_at < clock_timestamp() - %(ttl)s
         ORDER BY w.id LIMIT %(limit)s""",
        {"ttl": ttl, "limit": limit},
    )
    rows = await cursor.fetchall()
    return [(ClusterKey(*row[:2]), Held(ActionKey(*row[2:7]), row[7], row[8])) for row in rows]


async def lock_run(tx: Tx, run: RunKey) -> None:
    """Wait for claims of this run's work to commit; call under `runs.lock`, before deciding about grants."""
    await tx.execute(
        """
        SELECT 1 FROM work
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
         ORDER BY action FOR NO KEY UPDATE""",
        run._asdict(),
    )


async def delete(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The actions are over; call under `runs.lock`."""
    await tx.execute(
        """
        DELETE FROM work w
         USING unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns(keys),
    )


class Requeue(NamedTuple):
    key: ActionKey
    attempt: int


async def requeue(tx: Tx, items: Sequence[Requeue]) -> None:
    """Take the leases back; the attempts wait again, in their old place. Call under `runs.lock`."""
    await tx.execute(
        """
        UPDATE work w SET cluster = NULL, granted_at = NULL, attempt = k.attempt
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(attempt)s::integer[])
            AS k (org, project, domain, run, action, attempt)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns([i.key for i in items]) | {"attempt": [i.attempt for i in items]},
    )
