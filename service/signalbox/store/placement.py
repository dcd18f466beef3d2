"""The facts by which dispatch decides about one action, all of one moment."""

from __future__ import annotations

from datetime import timedelta

from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase
from signalbox.rules.placement import Candidate, Situation
from signalbox.rules.timers import Owner
from signalbox.store.db import Tx


async def situation(tx: Tx, key: ActionKey, *, ttl: timedelta) -> Situation | None:
    """None when there is no such action. `ttl`: a cluster silent for longer is not healthy."""
    cursor = await tx.execute(
        """
        SELECT a.phase, a.attempt, w.owner, w.cluster, w.since, a.queue, a.parent = '' AS is_root,
               q.max_actions,
               (SELECT count(*) FROM work h WHERE h.org = a.org AND h.queue = a.queue AND h.cluster IS NOT NULL
                   AND NOT h.is_parent),
               q.max_runs,
               (SELECT count(*) FROM work h WHERE h.org = a.org AND h.queue = a.queue AND h.cluster IS NOT NULL
                   AND h.is_root),
               coalesce(q.clusters, '{}'), r.max_actions,
               (SELECT count(*) FROM work h
                 WHERE (h.org, h.project, h.domain, h.run) = (a.org, a.project, a.domain, a.run) AND h.has_slot),
               (SELECT c.owner FROM cache_reservation c
                 WHERE (c.org, c.scope, c.key) = (a.org, a.cache_scope, a.cache_key))
          FROM action a
          JOIN run r ON (r.org, r.project, r.domain, r.name) = (a.org, a.project, a.domain, a.run)
          LEFT JOIN work w ON (w.org, w.project, w.domain, w.run, w.action)
                            = (a.org, a.project, a.domain, a.run, a.name)
          LEFT JOIN queue q ON (q.org, q.name) = (a.org, a.queue)
         WHERE a.org = %(org)s AND a.project = %(project)s AND a.domain = %(domain)s AND a.run = %(run)s
           AND a.name = %(action)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    cursor = await tx.execute(
        """
        SELECT c.name, c.session <> '' AND c.last_seen_at >= clock_timestamp() - %(ttl)s,
               c.capacity - (SELECT count(*) FROM work w
                              WHERE w.org = c.org AND w.cluster = c.name AND NOT w.is_parent)
          FROM cluster c WHERE c.org = %(org)s ORDER BY c.name""",
        {"org": key.org, "ttl": ttl},
    )
    candidates = [Candidate(*cluster) for cluster in await cursor.fetchall()]
    phase, attempt, owner, *rest = row
    return Situation._make([Phase(phase), attempt, Owner(owner) if owner else None, *rest, candidates])
