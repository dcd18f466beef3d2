"""Queues that an operator has configured. A queue without a row is open to every cluster, and has no limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg.rows import class_row

from signalbox.store.db import Tx

DEFAULT = "default"


class QueueState(StrEnum):
    ACTIVE = "active"
    DRAINING = "draining"
    """No run begins in it; what is in it goes on."""


class Fairness(StrEnum):
    ROUND_ROBIN = "round_robin"
    """Projects take turns."""
    FIFO = "fifo"
    """The oldest goes first."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """None is no limit; `clusters` empty: any."""

    org: str
    name: str
    state: QueueState = QueueState.ACTIVE
    priority: int = 0
    fairness: Fairness = Fairness.ROUND_ROBIN
    max_runs: int | None = None
    max_actions: int | None = None
    max_depth: int | None = None
    clusters: Sequence[str] = ()

    def __post_init__(self) -> None:
        # The driver gives the columns' text; members are compared by identity.
        object.__setattr__(self, "state", QueueState(self.state))
        object.__setattr__(self, "fairness", Fairness(self.fairness))


async def put(tx: Tx, queue: Queue) -> None:
    """Configure the queue, whatever it was before."""
    await tx.execute(
        """
        INSERT INTO queue (org, name, state, priority, fairness, max_runs, max_actions, max_depth, clusters)
        VALUES (%(org)s, %(name)s, %(state)s, %(priority)s, %(fairness)s, %(max_runs)s, %(max_actions)s, %(max_depth)s,
                %(clusters)s)
            ON CONFLICT ON CONSTRAINT queue_pkey DO UPDATE
           SET state = excluded.state, priority = excluded.priority, fairness = excluded.fairness,
               max_runs = excluded.max_runs, max_actions = excluded.max_actions, max_depth = excluded.max_depth,
               clusters = excluded.clusters""",
        vars(queue) | {"clusters": list(queue.clusters)},
    )


async def of_org(tx: Tx, org: str) -> list[Queue]:
    """By name."""
    cursor = tx.cursor(row_factory=class_row(Queue))
    await cursor.execute(
        """
        SELECT org, name, state, priority, fairness, max_runs, max_actions, max_depth, clusters
          FROM queue WHERE org = %(org)s ORDER BY name""",
        {"org": org},
    )
    return await cursor.fetchall()


async def named(tx: Tx, org: str, name: str) -> Queue | None:
    """None when it is not configured."""
    cursor = tx.cursor(row_factory=class_row(Queue))
    await cursor.execute(
        """
        SELECT org, name, state, priority, fairness, max_runs, max_actions, max_depth, clusters
          FROM queue WHERE org = %(org)s AND name = %(name)s""",
        {"org": org, "name": name},
    )
    return await cursor.fetchone()


async def lock(tx: Tx, org: str, name: str) -> Queue | None:
    """The queue as it is now and stays until commit; who locks it too waits. What is in it goes on meanwhile."""
    cursor = tx.cursor(row_factory=class_row(Queue))
    await cursor.execute(
        """
        SELECT org, name, state, priority, fairness, max_runs, max_actions, max_depth, clusters
          FROM queue WHERE org = %(org)s AND name = %(name)s FOR NO KEY UPDATE""",
        {"org": org, "name": name},
    )
    return await cursor.fetchone()


async def known(tx: Tx, org: str, names: Sequence[str]) -> set[str]:
    """Which of the names may be used: those that are configured, and the default."""
    cursor = await tx.execute(
        "SELECT name FROM queue WHERE org = %(org)s AND name = ANY(%(names)s::text[])",
        {"org": org, "names": list(names)},
    )
    return {row[0] for row in await cursor.fetchall()} | {DEFAULT}


async def depth(tx: Tx, org: str, name: str, *, limit: int) -> int:
    """How many actions wait in the queue for a cluster, counted up to `limit`."""
    cursor = await tx.execute(
        """
        SELECT count(*) FROM (
               SELECT 1 FROM work WHERE org = %(org)s AND queue = %(name)s AND owner = 'dispatch' LIMIT %(limit)s) w""",
        {"org": org, "name": name, "limit": limit},
    )
    row = await cursor.fetchone()
    return 0 if row is None else row[0]
