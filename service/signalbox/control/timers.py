"""Actions whose time has come: a bound is met, a wait is over. Armed in the database, decided by `rules.timers`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from signalbox.control import endings
from signalbox.control.actions import cascade, publish
from signalbox.control.cache import compete, concede
from signalbox.control.hub import Hub, work_topic
from signalbox.control.journal import Journal
from signalbox.errors import Unavailable
from signalbox.ids import ActionKey
from signalbox.log import logger
from signalbox.metrics import OVERDUE, TIMEOUTS
from signalbox.op import Op
from signalbox.rules import timers
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Cause, Owner
from signalbox.store import actions, cache, clock, runs, work
from signalbox.store.actions import State
from signalbox.store.cache import CacheKey, Entry
from signalbox.store.db import Tx

_CHUNK = 100
_GRACE = timedelta(seconds=30)
_log = logger("control")


async def check(op: Op, hub: Hub, *, limit: int, system_retries: int) -> int:
    """Look at up to `limit` actions that are due; gives how many there were.

    Those that wait for results are looked at apart from the others: they take reservations and the others give theirs
    back, and who does both in one transaction has no order in which to lock them.
    """
    async with op.db.autocommit() as tx:
        due = await work.due(tx, limit=limit)
        OVERDUE.set(await work.overdue(tx, grace=_GRACE))
    for awaiting in (False, True):
        keys = [one.key for one in due if (one.owner is Owner.CACHE) is awaiting]
        for start in range(0, len(keys), _CHUNK):
            await _check_apart(op, hub, keys[start : start + _CHUNK], system_retries=system_retries)
    return len(due)


async def _check_apart(op: Op, hub: Hub, keys: Sequence[ActionKey], *, system_retries: int) -> None:
    """One that cannot be looked at keeps nobody else waiting; it stays due and is counted as overdue."""
    try:
        await _check(op, hub, keys, system_retries=system_retries)
    except Unavailable:  # of the database: one by one would only take longer
        raise
    except Exception as e:  # noqa: BLE001  # whatever it is, it belongs to one action, and the pass must go on
        if len(keys) == 1:
            _log.error("timer_failed", action=str(keys[0]), error=repr(e))
            return
        _log.warning("timers_split", size=len(keys), error=repr(e))
        for key in keys:
            await _check_apart(op, hub, [key], system_retries=system_retries)


async def _check(op: Op, hub: Hub, keys: Sequence[ActionKey], *, system_retries: int) -> None:
    async with op.transaction() as tx:
        locked = await runs.lock(tx, [key.run_key for key in keys])
        await work.lock(tx, keys)  # a claim may be about to commit
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
    passed_over = {s.key.org for s in states.values() if s.live and s.live.owner is Owner.DISPATCH}
    hub.publish(work_topic(org) for org in passed_over)  # by a claim, while their rows were locked here


async def _take_over(tx: Tx, journal: Journal, awaiting: Sequence[State]) -> None:
    """Actions that wait for a result that another computes: answered when it is there, or the next one computes it."""
    keys = {state.key: CacheKey(state.key.org, state.cache_scope, state.cache_key) for state in awaiting}
    if not keys:
        return
    kept = await cache.look(tx, sorted(set(keys.values())))
    wanted: dict[CacheKey, ActionKey] = {}
    for state in awaiting:
        key = keys[state.key]
        if not _serves(kept.get(key), state) and state.live and state.live.timers.since <= journal.now:
            wanted.setdefault(key, state.key)
    held, late = await compete(tx, wanted)
    hits: list[ActionKey] = []
    for state in awaiting:
        key = keys[state.key]
        entry = late.get(key) or kept.get(key)
        if entry and _serves(entry, state):
            hits.append(state.key)
            journal.answer(state, output_uri=entry.output_uri)
        elif held.get(key) == state.key:
            journal.requeue(state, fresh=True, computes=True)
    if hits:
        await actions.set_cache_status(tx, hits, CacheStatus.HIT)
        await concede(tx, [action for action in hits if action in held.values()])


def _serves(entry: Entry | None, state: State) -> bool:
    return entry is not None and state.live is not None and entry.serves(state.live.cache_max_age)


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
