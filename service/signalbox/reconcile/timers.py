"""Looks at every action whose time has come: bounds that are met, waits that are over."""

from __future__ import annotations

from signalbox.control import timers
from signalbox.control.hub import Hub
from signalbox.op import Op
from signalbox.settings import Settings

NAME = "timers"
FULL = 1000


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass; gives how many actions it looked at. FULL: there may be more."""
    return await timers.check(op, hub, limit=FULL, system_retries=settings.system_retries)
