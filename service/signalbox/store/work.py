"""Live work: one row for each action that is not over, with who must act next and when it is looked at again.

`store.dispatch` gives rows to clusters; here they are taken back, delayed, released and ended. Every change but a grant
is made under `runs.lock`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from signalbox.ids import ActionKey, ClusterKey, RunKey
from signalbox.rules.timers import Owner
from signalbox.store.actions import columns
from signalbox.store.db import Tx


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


async def lock(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """Wait for claims of these actions to commit; call under `runs.lock`, before deciding about grants.

    A claim passes over what is locked: wake the clusters afterwards, unless none of it waits for them any more.
    """
    await tx.execute(
        """
        SELECT 1
          FROM work w
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action) USING (org, project, domain, run, action)
         ORDER BY w.org, w.project, w.domain, w.run, w.action FOR NO KEY UPDATE OF w""",
        columns(keys),
    )


async def lives(tx: Tx, run: RunKey) -> bool:
    """Whether something of the run is not over."""
    cursor = await tx.execute(
        """
        SELECT true FROM work
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s LIMIT 1""",
        run._asdict(),
    )
    return await cursor.fetchone() is not None


async def delete(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The actions are over."""
    await tx.execute(
        """
        DELETE FROM work w
         USING unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns(keys),
    )


class Requeue(NamedTuple):
    """The attempt that waits, and for whom; `delay`: before it may be granted. `fresh`: its bounds begin anew."""

    key: ActionKey
    attempt: int
    owner: Owner
    delay: timedelta
    fresh: bool


async def requeue(tx: Tx, items: Sequence[Requeue]) -> None:
    """End leases and waits: the attempts wait in their old place of the owner's line. A slot that they have they keep.

    What waits for a result looks at once: whoever woke it meanwhile has passed over it.
    """
    plain = ("attempt", "owner", "delay", "fresh")
    await tx.execute(
        """
        UPDATE work w
           SET cluster = NULL, granted_at = NULL, attempt = k.attempt, owner = k.owner,
               since = CASE WHEN k.fresh THEN clock_timestamp() + k.delay ELSE w.since END,
               next_check = least(CASE WHEN k.owner = 'cache' THEN clock_timestamp()
                                       WHEN k.delay > interval '0' THEN clock_timestamp() + k.delay
                                       WHEN k.fresh THEN clock_timestamp() + w.queued_timeout
                                       ELSE w.since + w.queued_timeout END,
                                  w.deadline, clock_timestamp() + interval '1 hour')
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(attempt)s::integer[], %(owner)s::text[], %(delay)s::interval[], %(fresh)s::boolean[])
            AS k (org, project, domain, run, action, attempt, owner, delay, fresh)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns([i.key for i in items]) | {field: [getattr(i, field) for i in items] for field in plain},
    )


async def begin_running(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The attempts run since now: their time in the queue is over, their running time begins to count."""
    await tx.execute(
        """
        UPDATE work w
           SET since = clock_timestamp(),
               next_check = least(clock_timestamp() + w.run_timeout, w.deadline, clock_timestamp() + interval '1 hour')
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns(keys),
    )


class Backlog(NamedTuple):
    """Of all orgs and queues. `oldest`: how long the first of the queued ones waits; zero when nothing does."""

    queued: int
    oldest: timedelta
    running: int


async def backlog(tx: Tx) -> Backlog:
    """What waits for a cluster now, and what clusters hold."""
    cursor = await tx.execute(
        """
        SELECT count(*) FILTER (WHERE owner = 'dispatch'),
               coalesce(clock_timestamp() - min(since) FILTER (WHERE owner = 'dispatch'), interval '0'),
               count(*) FILTER (WHERE owner = 'cluster' AND NOT is_parent)
          FROM work WHERE owner IN ('dispatch', 'cluster')"""
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate has one row
    return Backlog(*row)


class Due(NamedTuple):
    key: ActionKey
    owner: Owner


async def due(tx: Tx, *, limit: int) -> list[Due]:
    """Up to `limit` actions that must be looked at, the most overdue first."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, run, action, owner FROM work
         WHERE next_check <= clock_timestamp() ORDER BY next_check LIMIT %(limit)s""",
        {"limit": limit},
    )
    return [Due(ActionKey(*row[:5]), Owner(row[5])) for row in await cursor.fetchall()]


async def overdue(tx: Tx, *, grace: timedelta) -> int:
    """How many actions nobody has looked at for longer than `grace` after they were due: 0 while reconcilers run."""
    cursor = await tx.execute(
        "SELECT count(*) FROM work WHERE next_check < clock_timestamp() - %(grace)s", {"grace": grace}
    )
    row = await cursor.fetchone()
    return 0 if row is None else row[0]


async def check_again(tx: Tx, checks: Sequence[tuple[ActionKey, datetime]]) -> None:
    """Look at the actions again at these times."""
    await tx.execute(
        """
        UPDATE work w SET next_check = k.at
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(at)s::timestamptz[])
            AS k (org, project, domain, run, action, at)
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        columns([key for key, _ in checks]) | {"at": [at for _, at in checks]},
    )


async def become_parents(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The actions have children now: they mostly wait, and give up their place in limits. A root keeps its run's slot.

    So that a tree deeper than a limit never waits for itself.
    """
    await tx.execute("SELECT become_parents(%(org)s, %(project)s, %(domain)s, %(run)s, %(action)s)", columns(keys))


async def admit(tx: Tx, run: RunKey, *, max_actions: int) -> int:
    """Give free slots of a run with a limit to its actions that wait for one, oldest first; gives how many."""
    cursor = await tx.execute(
        """
          WITH room AS (
                SELECT greatest(0, %(max_actions)s - count(*)) AS slots FROM work
                 WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s AND has_slot),
               oldest AS (
                SELECT action FROM work
                 WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                   AND owner = %(waiting)s
                 ORDER BY id LIMIT (SELECT slots FROM room))
        UPDATE work w SET owner = 'dispatch', has_slot = true
          FROM oldest o
         WHERE w.org = %(org)s AND w.project = %(project)s AND w.domain = %(domain)s AND w.run = %(run)s
           AND w.action = o.action
     RETURNING w.action""",
        run._asdict() | {"max_actions": max_actions, "waiting": Owner.RUN},
    )
    return len(await cursor.fetchall())
