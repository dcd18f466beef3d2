"""Runs every pass, periodically, one after the other; a pass that fails is logged and comes again.

Any number of these processes may run: passes are idempotent and every write of theirs is fenced, so that two that meet
only do the work once.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from time import perf_counter

from signalbox.control.hub import Hub
from signalbox.errors import SignalboxError
from signalbox.log import logger
from signalbox.metrics import RECONCILE_SECONDS
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import silent_clusters, timers
from signalbox.settings import Settings
from signalbox.store.db import Database

_PASSES = (silent_clusters, timers)
_log = logger("reconcile")


async def run(db: Database, hub: Hub, settings: Settings) -> None:
    """Until cancelled."""
    while True:
        for task in _PASSES:
            op = Op(who=RECONCILER, now=datetime.now(UTC), request_id=secrets.token_hex(16), db=db)
            started = perf_counter()
            try:
                done = await task.run(op, hub, settings)
            except SignalboxError as e:
                _log.warning("pass_failed", name=task.NAME, error=e.message, detail=e.detail)
                continue
            RECONCILE_SECONDS.labels(task.NAME).observe(perf_counter() - started)
            if done:
                _log.info("pass", name=task.NAME, done=done, ms=round((perf_counter() - started) * 1000))
        await asyncio.sleep(settings.reconcile_every.total_seconds())
