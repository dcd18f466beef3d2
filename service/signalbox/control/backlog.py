"""How much waits: for whoever decides how many processes there should be."""

from __future__ import annotations

from datetime import timedelta

from signalbox.op import Op
from signalbox.store import duties, work
from signalbox.store.work import Backlog

_DUTY = "queue_line"


async def when_due(op: Op, *, every: timedelta) -> Backlog | None:
    """The backlog, for one of all callers a period; None for the others."""
    async with op.db.autocommit() as tx:
        return await work.backlog(tx) if await duties.claim(tx, _DUTY, every=every) else None
