"""Timeouts, waits and when an action is looked at again. All times are of the database's clock.

Bounds are the SDK's: time in the queue and time of running count for each attempt anew; the deadline is one moment for
the action as a whole, whatever attempt it meets.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from signalbox.rules.phases import Phase

LONGEST_WAIT = timedelta(hours=1)
"""Every action that is not over is looked at again at least this often."""

AWAITED_RESULT_EVERY = timedelta(minutes=1)
"""How often an action looks for a result that another computes, should nobody wake it: who computes it does."""


class Owner(StrEnum):
    """Who must act next on an action that is not over."""

    DISPATCH = "dispatch"
    CLUSTER = "cluster"
    RUN = "run"
    """Waits for one of its run's slots."""
    BACKOFF = "backoff"
    """Waits before the next attempt."""
    CACHE = "cache"
    """Waits for another action that computes the same result."""
    PERSON = "person"
    """A condition: waits to be signalled."""


class Cause(StrEnum):
    """Which bound an attempt has met."""

    NONE = ""
    RUN = "run"
    QUEUED = "queued"
    DEADLINE = "deadline"


class Timers(NamedTuple):
    """Bounds of an action; None is no bound. `since`: when its present stage began (in the queue, or running)."""

    since: datetime
    queued_timeout: timedelta | None
    run_timeout: timedelta | None
    deadline: datetime | None


def met(timers: Timers, owner: Owner, phase: Phase, *, now: datetime) -> Cause:
    """The bound that is met; the deadline before the others, as it is the one that ends the action."""
    if timers.deadline is not None and now >= timers.deadline:
        return Cause.DEADLINE
    end = _stage_end(timers, owner, phase)
    if end is None or now < end:
        return Cause.NONE
    return Cause.RUN if phase is Phase.RUNNING else Cause.QUEUED


def is_in_time(timers: Timers | None, *, begins: datetime) -> bool:
    """Whether an attempt that can begin then would begin before the deadline; None: nothing is known to bound it."""
    return timers is None or timers.deadline is None or begins < timers.deadline


def next_check(timers: Timers, owner: Owner, phase: Phase, *, now: datetime) -> datetime:
    """When the action must be looked at again: at its next bound, or at the end of a wait."""
    candidates = [now + (AWAITED_RESULT_EVERY if owner is Owner.CACHE else LONGEST_WAIT)]
    if timers.deadline is not None:
        candidates.append(timers.deadline)
    if owner is Owner.BACKOFF or (owner is Owner.CACHE and timers.since > now):
        candidates.append(timers.since)
    elif (end := _stage_end(timers, owner, phase)) is not None:
        candidates.append(end)
    return min(candidates)


def owner_after(left: Owner, *, is_delayed: bool, lacks_slot: bool, computes: bool) -> Owner:
    """Who acts next on an action whose lease or wait has ended: no timeout and no retry is a way past a line.

    `lacks_slot`: its run has a limit that it counts in, and it has no place there. `computes`: it has just been given
    the reservation that it waited for. A wait for a result goes on also through a backoff, as the result may come.
    """
    if left is Owner.CACHE and not computes:
        return Owner.CACHE
    if is_delayed:
        return Owner.BACKOFF
    return Owner.RUN if lacks_slot else Owner.DISPATCH


def _stage_end(timers: Timers, owner: Owner, phase: Phase) -> datetime | None:
    if owner is Owner.BACKOFF:  # its time in the queue has not begun
        return None
    if phase in (Phase.QUEUED, Phase.WAITING_FOR_RESOURCES) and timers.queued_timeout is not None:
        return timers.since + timers.queued_timeout
    if phase is Phase.RUNNING and timers.run_timeout is not None:
        return timers.since + timers.run_timeout
    return None
