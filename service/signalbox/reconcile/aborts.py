"""Goes on with aborts that were too large for one transaction and whose process has not finished them."""

from __future__ import annotations

from signalbox.control import actions
from signalbox.control.hub import Hub
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store import aborts_below

NAME = "aborts"
_BATCH = 20


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass, a step of each; gives how many. What is left over is the next pass's."""
    del settings
    async with op.db.autocommit() as tx:
        wishes = await aborts_below.pending(tx, limit=_BATCH)
    for wish in wishes:
        await actions.go_on_aborting(op, hub, wish)
    return len(wishes)
