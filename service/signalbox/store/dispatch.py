"""Which waiting attempts a cluster is granted: limits, priority and fairness, in the function that grants (0005).

One dispatch an org at a time (an advisory lock, held until commit), so that no limit is exceeded at any instant,
whichever replica and cluster asks. A lane is what one index range holds: the roots, or the other actions, of one
project in one queue.
"""

from __future__ import annotations

from datetime import timedelta
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


class Claim(NamedTuple):
    """Grants in the order in which they were chosen.

    `room`: how many more the cluster could take. `limited`: limits of queues may have held something back.
    """

    granted: list[Granted]
    room: int
    limited: bool


async def claim(
    tx: Tx, cluster: ClusterKey, *, stream: int, limit: int, room: int | None, ttl: timedelta
) -> Claim | None:
    """Lease up to `limit` waiting attempts to the cluster. None: the stream is no longer its newest.

    Queues of higher priority first; those of one priority take turns; within a queue projects do (or, in a `fifo`
    queue, the oldest goes first); within a project the oldest. Two callers never get the same attempt. A cluster not
    heard of for `ttl` gets none. `room`: as of the stream's last claim; None has it counted anew.
    """
    cursor = await tx.execute(
        """
        SELECT room, limited, project, domain, run, action, attempt, epoch, parent, group_name, spec_digest, input_uri,
               output_base
          FROM claim(%(org)s, %(cluster)s, %(stream)s, %(limit)s, %(room)s, %(ttl)s)""",
        cluster._asdict() | {"stream": stream, "limit": limit, "room": room, "ttl": ttl},
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    granted = [Granted(cluster.org, *row[2:]) for row in rows[1:]]
    return Claim(granted, room=rows[0][0] - len(granted), limited=rows[0][1])
