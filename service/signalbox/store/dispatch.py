"""Which waiting attempts a cluster is granted: limits, priority and fairness, in the statement that grants.

One dispatch an org at a time (an advisory lock, held until commit), so that no limit is exceeded at any instant,
whichever replica and cluster asks. A lane is what one index range holds: the roots, or the other actions, of one
project in one queue.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from signalbox.ids import ActionKey, ClusterKey
from signalbox.store.db import Tx, compact

# Epochs are never minted twice, also when a crash loses a commit: they grow with time, and are random.
_CLAIM = compact(
    """
          WITH RECURSIVE lane (queue, is_root, project) AS (
                (SELECT queue, is_root, project FROM work
                  WHERE org = %(org)s AND owner = 'dispatch' ORDER BY queue, is_root, project LIMIT 1)
                 UNION ALL
                SELECT n.queue, n.is_root, n.project
                  FROM lane l
                 CROSS JOIN LATERAL (
                       SELECT w.queue, w.is_root, w.project FROM work w
                        WHERE w.org = %(org)s AND w.owner = 'dispatch'
                          AND (w.queue, w.is_root, w.project) > (l.queue, l.is_root, l.project)
                        ORDER BY w.queue, w.is_root, w.project LIMIT 1) n),
               open AS MATERIALIZED (
                SELECT l.queue, l.is_root, l.project, coalesce(q.priority, 0) AS priority,
                       coalesce(q.fairness, 'round_robin') AS fairness, t.at AS served_at,
                       least(%(limit)s, CASE WHEN q.max_actions IS NOT NULL THEN q.max_actions - (
                             SELECT count(*) FROM work w
                              WHERE w.org = %(org)s AND w.queue = l.queue AND w.cluster IS NOT NULL
                                AND NOT w.is_parent) END) AS room,
                       CASE WHEN q.max_runs IS NOT NULL THEN q.max_runs - (
                             SELECT count(*) FROM work w
                              WHERE w.org = %(org)s AND w.queue = l.queue AND w.cluster IS NOT NULL
                                AND w.is_root) END AS run_room
                  FROM lane l
                  LEFT JOIN queue q ON q.org = %(org)s AND q.name = l.queue
                  LEFT JOIN queue_turn t ON (t.org, t.queue, t.project) = (%(org)s, l.queue, l.project)
                 WHERE q.clusters IS NULL OR q.clusters = '{}' OR %(cluster)s = ANY(q.clusters)),
               candidate AS (
                SELECT o.queue, o.is_root, o.project, o.priority, o.fairness, o.served_at, o.room, o.run_room,
                       c.domain, c.run, c.action, c.id,
                       row_number() OVER (PARTITION BY o.queue, o.project ORDER BY c.id) AS turn
                  FROM open o
                 CROSS JOIN LATERAL (
                       SELECT w.domain, w.run, w.action, w.id FROM work w
                        WHERE w.org = %(org)s AND w.owner = 'dispatch' AND w.queue = o.queue
                          AND w.is_root = o.is_root AND w.project = o.project
                        ORDER BY w.id LIMIT greatest(0, CASE WHEN o.is_root THEN least(o.room, o.run_room)
                                                             ELSE o.room END)) c),
               ranked AS (
                SELECT c.*, row_number() OVER (PARTITION BY c.queue, c.is_root ORDER BY place) AS run_place
                  FROM (SELECT c.*, row_number() OVER (
                                ORDER BY c.priority DESC, c.queue, CASE c.fairness WHEN 'fifo' THEN 0 ELSE c.turn END,
                                         CASE c.fairness WHEN 'fifo' THEN NULL ELSE c.served_at END NULLS FIRST, c.id
                               ) AS place
                          FROM candidate c) c),
               admitted AS (
                SELECT r.*, row_number() OVER (PARTITION BY r.queue ORDER BY r.place) AS queue_place
                  FROM ranked r WHERE NOT r.is_root OR r.run_room IS NULL OR r.run_place <= r.run_room),
               chosen AS MATERIALIZED (
                SELECT w.org, w.project, w.domain, w.run, w.action, a.place, a.queue
                  FROM (SELECT * FROM admitted WHERE queue_place <= room ORDER BY place LIMIT %(limit)s) a
                  JOIN work w ON w.org = %(org)s
                   AND (w.project, w.domain, w.run, w.action) = (a.project, a.domain, a.run, a.action)
                   AND w.owner = 'dispatch'
                   FOR NO KEY UPDATE OF w SKIP LOCKED),
               served AS (
                INSERT INTO queue_turn (org, queue, project, at)
                SELECT %(org)s, queue, project, clock_timestamp() FROM chosen
                 WHERE queue IN (SELECT queue FROM open GROUP BY queue HAVING count(DISTINCT project) > 1)
                 GROUP BY queue, project
                    ON CONFLICT ON CONSTRAINT queue_turn_pkey DO UPDATE SET at = excluded.at),
               granted AS (
                UPDATE work w
                   SET owner = 'cluster', cluster = %(cluster)s, granted_at = clock_timestamp(),
                       epoch = greatest(w.epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1048576
                                                     + floor(random() * 1048576)::bigint)
                  FROM chosen c
                 WHERE (w.org, w.project, w.domain, w.run, w.action) = (c.org, c.project, c.domain, c.run, c.action)
             RETURNING w.org, w.project, w.domain, w.run, w.action, w.attempt, w.epoch, c.place)
        SELECT g.org, g.project, g.domain, g.run, g.action, g.attempt, g.epoch, a.parent, a.group_name,
               a.spec_digest, a.input_uri, a.output_base
          FROM granted g
          JOIN action a ON (a.org, a.project, a.domain, a.run, a.name) = (g.org, g.project, g.domain, g.run, g.action)
         ORDER BY g.place"""
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
    """Grants in the order in which they were chosen; `full`: the cluster holds, with these, all that it wants to."""

    granted: list[Granted]
    full: bool


async def claim(tx: Tx, cluster: ClusterKey, *, stream: int, limit: int) -> Claim | None:
    """Lease up to `limit` waiting attempts to the cluster. None: the stream is no longer its newest.

    Queues of higher priority first; within a queue projects take turns (or, in a `fifo` queue, the oldest goes first);
    within a project the oldest. Two callers never get the same attempt.
    """
    # A lost grant is only granted anew, under another epoch: its commit need not wait for the disk.
    await tx.execute("SET LOCAL synchronous_commit = off")
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('dispatch/' || %(org)s, 0))", {"org": cluster.org})
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
    if not room:
        return Claim(granted=[], full=True)
    cursor = tx.cursor(row_factory=class_row(Granted))
    await cursor.execute(_CLAIM, cluster._asdict() | {"limit": min(limit, room)})
    granted = await cursor.fetchall()
    return Claim(granted=granted, full=len(granted) == room)
