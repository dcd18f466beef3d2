"""Actions whose time has come: a bound is met, a wait is over. Armed in the database, decided by `rules.timers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from signalbox.control import endings
from signalbox.control.actions import cascade, publish
from signalbox.control.hub import Hub
from signalbox.control.journal import Journal
from signalbox.ids import ActionKey
from signalbox.metrics import OVERDUE, TIMEOUTS
from signalbox.op import Op
from signalbox.rules import timers
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Cause, Owner
from signalbox.store import actions, cache, clock, runs, work
from signalbox.store.actions import State
from signalbox.store.cache import CacheKey
from signalbox.store.db import Tx

_CHUNK = 100
_GRACE = timedelta(seconds=30)


async def check(op: Op, hub: Hub, *, limit: int, system_retries: int) -> int:
    """Look at up to `limit` actions that are due; gives how many there were."""
    async with op.db.autocommit() as tx:
        due = await work.due(tx, limit=limit)
        OVERDUE.set(await work.overdue(tx, grace=_GRACE))
    for start in range(0, len(due), _CHUNK):
        await _check(op, hub, due[start : start + _CHUNK], system_retries=system_retries)
    return len(due)


async def _check(op: Op, hub: Hub, keys: Sequence[ActionKey], *, system_retries: int) -> None:
    async with op.transaction() as tx:
        locked = await runs.lock(tx, [key.run_key for key in keys])
        for run in locked:
            await work.lock_run(tx, run)  # a claim may be about to commit
        states = await actions.states(tx, keys)
        now = await clock.now(tx)
        journal = Journal(locked, now=now)
        journal.know(states)
        again: list[tuple[ActionKey, datetime]] = []
        awaiting: list[State] = []
        for state in states.values():
            if state.live is None:
                continue
            cause = timers.met(state.live.timers, state.live.owner, state.phase, now=now)
            if cause and not state.timeout_cause:
                _time_out(journal, state, cause, system_retries=system_retries)
            elif state.live.owner is Owner.CACHE:
                awaiting.append(state)
            elif state.live.owner is Owner.BACKOFF and now >= state.live.timers.since:
                journal.requeue(state, fresh=True)
                continue
            again.append((state.key, _next(state, cause, now)))
        await _take_over(tx, journal, awaiting)
        await work.check_again(tx, again)  # before the journal: a retry's own wait counts
        await cascade(tx, journal)
    publish(hub, journal)


async def _take_over(tx: Tx, journal: Journal, awaiting: Sequence[State]) -> None:
    """Actions that wait for a result that another computes: answered when it is there, or the next one computes it."""
    keys = {state.key: CacheKey(state.key.org, state.cache_scope, state.cache_key) for state in awaiting}
    if not keys:
        return
    kept = await cache.look(tx, sorted(set(keys.values())))
    ages = {state.key: state.live.cache_max_age for state in awaiting if state.live}
    found = {action: kept[key] for action, key in keys.items() if key in kept and kept[key].serves(ages[action])}
    wanted = {key: str(action) for action, key in reversed(keys.items()) if action not in found}
    held = await cache.reserve(tx, list(wanted.items())) if wanted else set[CacheKey]()
    hits: list[ActionKey] = []
    for state in awaiting:
        key = keys[state.key]
        if state.key in found:
            hits.append(state.key)
            journal.answer(state, output_uri=found[state.key].output_uri)
        elif key in held and wanted[key] == str(state.key):
            journal.requeue(state, fresh=True)
    if hits:
        await actions.set_cache_status(tx, hits, CacheStatus.HIT)


def _next(state: State, cause: Cause, now: datetime) -> datetime:
    assert state.live is not None  # noqa: S101  # it is not over
    if cause:  # it is being stopped: its cluster's lease is what ends it if nothing else does
        return now + timers.LONGEST_WAIT
    return timers.next_check(state.live.timers, state.live.owner, state.phase, now=now)


def _time_out(journal: Journal, state: State, cause: Cause, *, system_retries: int) -> None:
    TIMEOUTS.labels(cause).inc()
    if state.held_by is not None:
        journal.stop(state, cause=cause, reason=endings.explained(state, cause))
        return
    stopped = state._replace(timeout_cause=cause)
    if state.phase is Phase.PAUSED:
        journal.move(stopped, Phase.TIMED_OUT, epoch=state.epoch, at=journal.now, error=endings.timed_out(stopped))
    else:
        endings.time_out(journal, stopped, epoch=state.epoch, system_retries=system_retries)
