"""Runs every pass, periodically, one after the other; a pass that fails is logged and comes again.

Any number of these processes may run: passes are idempotent and every write of theirs is fenced, so that two that meet
only do the work once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import monotonic, perf_counter

from signalbox.control.hub import Hub
from signalbox.errors import SignalboxError
from signalbox.log import logger
from signalbox.metrics import RECONCILE_SECONDS
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import aborts, retention, silent_clusters, timers
from signalbox.settings import Settings
from signalbox.store.db import Database

_PASSES = (silent_clusters, timers, aborts)
_RARE_PASSES = (retention,)
_log = logger("reconcile")


async def run(db: Database, hub: Hub, settings: Settings) -> None:
    """Until cancelled."""
    due = {task.NAME: 0.0 for task in _RARE_PASSES}
    while True:
        for task in _PASSES:
            await _pass(task.NAME, task.run, db, hub, settings)
        for task in _RARE_PASSES:
            if monotonic() >= due[task.NAME]:
                await _pass(task.NAME, task.run, db, hub, settings)
                due[task.NAME] = monotonic() + task.every(settings)
        await asyncio.sleep(settings.reconcile_every.total_seconds())


async def _pass(
    name: str, run_pass: Callable[[Op, Hub, Settings], Awaitable[int]], db: Database, hub: Hub, settings: Settings
) -> None:
    op = Op(who=RECONCILER, now=datetime.now(UTC), request_id=secrets.token_hex(16), db=db)
    started = perf_counter()
    try:
        done = await run_pass(op, hub, settings)
    except SignalboxError as e:
        _log.warning("pass_failed", name=name, error=e.message, detail=e.detail)
        return
    RECONCILE_SECONDS.labels(name).observe(perf_counter() - started)
    if done:
        _log.info("pass", name=name, done=done, ms=round((perf_counter() - started) * 1000))
