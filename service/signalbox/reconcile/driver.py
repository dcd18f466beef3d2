"""Runs every pass, periodically; a pass that fails, for whatever reason, is logged and comes again.

Repairs run one after the other, and again at once while one of them finds as much as it takes: 10,000 lost grants are
not to wait for the period twenty times. What is rare runs beside them: a lease does not wait for a large deletion.

Any number of these processes may run: passes are idempotent and every write of theirs is fenced, so that two that meet
only do the work once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import NamedTuple

from signalbox.control.hub import Hub
from signalbox.errors import SignalboxError
from signalbox.log import logger
from signalbox.metrics import RECONCILE_SECONDS
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import aborts, heartbeat, queue_line, retention, silent_clusters, timers
from signalbox.settings import Settings
from signalbox.store.db import Database

_log = logger("reconcile")
_RETRY_RARE = timedelta(minutes=1)

RunPass = Callable[[Op, Hub, Settings], Awaitable[int]]


class Task(NamedTuple):
    """A module of this room. A pass gives how much it did; `full` of it means that there may be more."""

    name: str
    full: int
    run: RunPass


REPAIRS = (
    Task(silent_clusters.NAME, silent_clusters.FULL, silent_clusters.run),
    Task(timers.NAME, timers.FULL, timers.run),
    Task(aborts.NAME, aborts.FULL, aborts.run),
)
CLEANING = Task(retention.NAME, retention.FULL, retention.run)
QUEUE_LINE = Task(queue_line.NAME, queue_line.FULL, queue_line.run)


async def run(db: Database, hub: Hub, settings: Settings) -> None:
    """Until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(repair(REPAIRS, db, hub, settings))
        group.create_task(rarely(CLEANING, db, hub, settings, every=settings.retention_every))
        group.create_task(rarely(QUEUE_LINE, db, hub, settings, every=settings.queue_log_every))


async def repair(tasks: Sequence[Task], db: Database, hub: Hub, settings: Settings) -> None:
    """Until cancelled, one task after the other."""
    while True:
        done = [(task, await one_pass(task, db, hub, settings)) for task in tasks]
        heartbeat.beat(settings)
        if not any(count is not None and count >= task.full for task, count in done):
            await asyncio.sleep(settings.reconcile_every.total_seconds())


async def rarely(task: Task, db: Database, hub: Hub, settings: Settings, *, every: timedelta) -> None:
    """Until cancelled."""
    while True:
        done = await one_pass(task, db, hub, settings)
        if done is not None and done >= task.full:
            continue
        await asyncio.sleep((every if done is not None else min(_RETRY_RARE, every)).total_seconds())


async def one_pass(task: Task, db: Database, hub: Hub, settings: Settings) -> int | None:
    """How much it did; None when it failed."""
    op = Op(who=RECONCILER, now=datetime.now(UTC), request_id=secrets.token_hex(16), db=db)
    started = perf_counter()
    try:
        done = await task.run(op, hub, settings)
    except SignalboxError as e:
        _log.warning("pass_failed", name=task.name, error=e.message, detail=e.detail)
        return None
    except Exception:  # noqa: BLE001  # a bug in one pass must not end the others, which may be what holds leases
        _log.exception("pass_failed", name=task.name)
        return None
    RECONCILE_SECONDS.labels(task.name).observe(perf_counter() - started)
    if done:
        _log.info("pass", name=task.name, done=done, ms=round((perf_counter() - started) * 1000))
    return done
