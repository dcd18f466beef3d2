"""Aborts that go on: what lives below an action is to be aborted, and was too much for the transaction that said so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from signalbox.ids import ActionKey
from signalbox.store.actions import columns
from signalbox.store.db import Tx


class AbortBelow(NamedTuple):
    """All that lives below the action is to be aborted, for this reason and by this principal."""

    key: ActionKey
    reason: str
    by: str


async def note(tx: Tx, keys: Sequence[ActionKey], *, reason: str, by: str) -> None:
    """The first wish for an action stands. Call under `runs.lock`."""
    await tx.execute(
        """
        INSERT INTO abort_below (org, project, domain, run, action, reason, principal)
        SELECT org, project, domain, run, action, %(reason)s, %(by)s
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, action)
            ON CONFLICT ON CONSTRAINT abort_below_pkey DO NOTHING""",
        columns(keys) | {"reason": reason, "by": by},
    )


async def pending(tx: Tx, *, limit: int) -> list[AbortBelow]:
    """Up to `limit` of them."""
    cursor = await tx.execute(
        "SELECT org, project, domain, run, action, reason, principal FROM abort_below LIMIT %(limit)s",
        {"limit": limit},
    )
    return [AbortBelow(ActionKey(*row[:5]), *row[5:]) for row in await cursor.fetchall()]


async def delete(tx: Tx, key: ActionKey) -> None:
    """Nothing lives below the action any more that has not been asked to end."""
    await tx.execute(
        """
        DELETE FROM abort_below
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND action = %(action)s""",
        key._asdict(),
    )
