"""What follows an attempt that did not succeed: another one, or the end.

User retries are the task's own budget and are spent on failures that the task called recoverable and on attempts that
took too long; losses of the platform (a silent cluster, a killed agent) have a budget of their own and never spend the
user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from signalbox.rules.phases import Phase
from signalbox.rules.timers import Cause


class Next(StrEnum):
    END = "end"
    """The reported phase is the action's."""
    AGAIN = "again"
    """The same attempt is granted anew: it never began."""
    RETRY = "retry"
    """A new attempt is queued."""
    LOST = "lost"
    """The platform's budget is spent: the action fails."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Attempts so far, by cause. `user_retries` is what the task allows beyond its first attempt."""

    user_retries: int
    user_failures: int
    system_retries: int
    system_failures: int


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Wait before the first retry, times `factor` for each further one, never more than `cap`."""

    base: timedelta
    factor: float
    cap: timedelta | None


def ended_as(reported: Phase, *, abort_requested: bool, timeout: Cause) -> Phase:
    """The phase that a reported end stands for: an attempt that was stopped for taking too long has timed out."""
    if reported is Phase.ABORTED and timeout and not abort_requested:
        return Phase.TIMED_OUT
    return reported


def after_report(
    phase: Phase,
    *,
    recoverable: bool,
    system: bool,
    abort_requested: bool,
    timeout: Cause,
    in_time: bool,
    budget: Budget,
) -> Next:
    """What follows an attempt's end. What is to be aborted is never tried again, nor what met its deadline.

    `in_time`: another attempt would begin before the deadline, after its wait.
    """
    if abort_requested or timeout is Cause.DEADLINE or not in_time:
        return Next.END
    if phase is Phase.TIMED_OUT:
        return Next.RETRY if budget.user_failures < budget.user_retries else Next.END
    if phase is not Phase.FAILED:
        return Next.END
    if system:
        return Next.RETRY if recoverable and budget.system_failures < budget.system_retries else Next.END
    return Next.RETRY if recoverable and budget.user_failures < budget.user_retries else Next.END


def after_loss(phase: Phase, *, budget: Budget) -> Next:
    """What follows when the cluster that held an attempt is gone; an attempt that nobody saw begin costs nothing."""
    if phase is Phase.QUEUED:
        return Next.AGAIN
    return Next.RETRY if budget.system_failures < budget.system_retries else Next.LOST


def wait(backoff: Backoff | None, *, user_failures: int) -> timedelta:
    """How long the next attempt waits after this many failures of the task's own; at most a day."""
    longest = timedelta(days=1)
    if backoff is None or user_failures < 1:
        return timedelta(0)
    limit = min(backoff.cap, longest) if backoff.cap is not None else longest
    try:
        return min(backoff.base * backoff.factor ** (user_failures - 1), limit)
    except OverflowError:
        return limit
