"""Goes on with aborts that were too large for one transaction and whose process has not finished them."""

from __future__ import annotations

from signalbox.control import actions
from signalbox.control.hub import Hub
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store import aborts_below

NAME = "aborts"
FULL = 20


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass, a step of each; gives how many. FULL: there may be more to do, of these or of others."""
    del settings
    async with op.db.autocommit() as tx:
        wishes = await aborts_below.pending(tx, limit=FULL)
    finished = [await actions.go_on_aborting(op, hub, wish) for wish in wishes]
    return len(wishes) if all(finished) else FULL
