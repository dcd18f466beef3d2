"""What clusters told of attempts besides their phases: Kubernetes-style events, in order of arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from signalbox.ids import ActionKey
from signalbox.store.actions import columns
from signalbox.store.db import Tx


class NewClusterEvent(NamedTuple):
    """`body`: serialized flyteidl2.workflow.ClusterEvent."""

    key: ActionKey
    attempt: int
    occurred_at: datetime
    body: bytes


async def append(tx: Tx, events: Sequence[NewClusterEvent]) -> None:
    """Keep them; the same event of the same attempt is kept once."""
    await tx.execute(
        """
        INSERT INTO cluster_event (org, project, domain, run, action, attempt, digest, occurred_at, body)
        SELECT * FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                             %(action)s::text[], %(attempt)s::integer[], %(digest)s::bytea[],
                             %(occurred_at)s::timestamptz[], %(body)s::bytea[])
            ON CONFLICT ON CONSTRAINT cluster_event_once DO NOTHING""",
        columns([e.key for e in events])
        | {
            "attempt": [e.attempt for e in events],
            "digest": [hashlib.sha256(e.body).digest() for e in events],
            "occurred_at": [e.occurred_at for e in events],
            "body": [e.body for e in events],
        },
    )


class ClusterEvent(NamedTuple):
    id: int
    attempt: int
    body: bytes


async def newest(tx: Tx, key: ActionKey, attempts: Sequence[int], *, each: int) -> list[ClusterEvent]:
    """The newest `each` events of each of the attempts, in order of attempt and arrival."""
    cursor = await tx.execute(
        """
        SELECT e.id, e.attempt, e.body
          FROM unnest(%(attempts)s::integer[]) AS a (attempt)
         CROSS JOIN LATERAL (
               SELECT id, attempt, body FROM cluster_event
                WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                  AND action = %(action)s AND attempt = a.attempt
                ORDER BY id DESC LIMIT %(each)s) e
         ORDER BY e.attempt, e.id""",
        key._asdict() | {"attempts": list(attempts), "each": each},
    )
    return [ClusterEvent(row[0], row[1], bytes(row[2])) for row in await cursor.fetchall()]


async def of_action(tx: Tx, key: ActionKey, *, after: int = 0, limit: int = 1000) -> list[ClusterEvent]:
    """Of all attempts, in order of arrival; `after`: only those with a greater id."""
    cursor = await tx.execute(
        """
        SELECT id, attempt, body FROM cluster_event
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND action = %(action)s AND id > %(after)s
         ORDER BY id LIMIT %(limit)s""",
        key._asdict() | {"after": after, "limit": limit},
    )
    return [ClusterEvent(row[0], row[1], bytes(row[2])) for row in await cursor.fetchall()]
