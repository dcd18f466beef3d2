"""What follows an attempt that did not succeed: another one, or the end.

User retries are the task's own budget and are spent on failures that the task called recoverable; losses of the
platform (a silent cluster, a killed agent) have a budget of their own and never spend the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from signalbox.rules.phases import Phase


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


def after_report(phase: Phase, *, recoverable: bool, system: bool, abort_requested: bool, budget: Budget) -> Next:
    """What follows a terminal report. An action that is to be aborted is never tried again."""
    if phase is not Phase.FAILED or abort_requested:
        return Next.END
    if system:
        return Next.RETRY if recoverable and budget.system_failures < budget.system_retries else Next.END
    return Next.RETRY if recoverable and budget.user_failures < budget.user_retries else Next.END


def after_loss(phase: Phase, *, budget: Budget) -> Next:
    """What follows when the cluster that held an attempt is gone; an attempt that nobody saw begin costs nothing."""
    if phase is Phase.QUEUED:
        return Next.AGAIN
    return Next.RETRY if budget.system_failures < budget.system_retries else Next.LOST
