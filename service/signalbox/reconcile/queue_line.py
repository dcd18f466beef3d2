"""Logs how much waits: the event `queue`, once a period, by whichever reconciler comes first.

Its fields are a contract: metric filters read them (docs/operating.md).
"""

from __future__ import annotations

from signalbox.control import backlog
from signalbox.control.hub import Hub
from signalbox.log import logger
from signalbox.op import Op
from signalbox.settings import Settings

NAME = "queue_line"
FULL = 1

_log = logger("reconcile")


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One line, unless another process has just logged it; there is never more to do."""
    del hub
    if found := await backlog.when_due(op, every=settings.queue_log_every):
        oldest = round(found.oldest.total_seconds(), 1)
        _log.info("queue", queued=found.queued, oldest_s=max(oldest, 0.0), running=found.running)
    return 0
