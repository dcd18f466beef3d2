"""Which waiting attempts a cluster is granted: limits, priority and fairness, in the statement that grants.

One dispatch an org at a time (an advisory lock, held until commit), so that no limit is exceeded at any instant,
whichever replica and cluster asks. A lane is what one index range holds: the roots, or the other actions, of one
project in one queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from signalbox.ids import ActionKey, ClusterKey
from signalbox.store.db import Tx


class Granted(NamedTuple):
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
    cursor = await tx.execute(
        """
        SELECT room, project, domain, run, action, attempt, epoch, parent, group_name, spec_digest, input_uri,
               output_base
          FROM claim(%(org)s, %(cluster)s, %(stream)s, %(limit)s)""",
        cluster._asdict() | {"stream": stream, "limit": limit},
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    granted = [Granted(cluster.org, *row[1:]) for row in rows[1:]]
    return Claim(granted=granted, full=len(granted) == rows[0][0])
