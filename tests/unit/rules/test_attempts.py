from __future__ import annotations

from datetime import timedelta

import pytest

from signalbox.rules.attempts import Backoff, Budget, Next, after_loss, after_report, ended_as, wait
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Cause


def budget(*, user: tuple[int, int] = (0, 0), system: tuple[int, int] = (3, 0)) -> Budget:
    return Budget(user_retries=user[0], user_failures=user[1], system_retries=system[0], system_failures=system[1])


def after_failure(*, recoverable: bool = True, system: bool = False, aborted: bool = False, left: Budget) -> Next:
    return after_report(
        Phase.FAILED,
        recoverable=recoverable,
        system=system,
        abort_requested=aborted,
        timeout=Cause.NONE,
        in_time=True,
        budget=left,
    )


@pytest.mark.parametrize(("allowed", "failed", "expected"), [(0, 0, Next.END), (1, 0, Next.RETRY), (1, 1, Next.END)])
def test_a_recoverable_failure_spends_the_retries_of_the_task(allowed: int, failed: int, expected: Next) -> None:
    assert after_failure(left=budget(user=(allowed, failed))) is expected


def test_a_failure_that_the_task_calls_final_is_final() -> None:
    assert after_failure(recoverable=False, left=budget(user=(5, 0))) is Next.END


def test_a_failure_of_the_platform_does_not_spend_the_retries_of_the_task() -> None:
    assert after_failure(system=True, left=budget(user=(0, 0), system=(3, 2))) is Next.RETRY
    assert after_failure(system=True, left=budget(user=(9, 0), system=(3, 3))) is Next.END


def test_what_is_to_be_aborted_is_not_tried_again() -> None:
    assert after_failure(aborted=True, left=budget(user=(5, 0))) is Next.END


@pytest.mark.parametrize("phase", sorted(TERMINAL - {Phase.FAILED, Phase.TIMED_OUT}))
def test_only_failures_and_timeouts_are_tried_again(phase: Phase) -> None:
    outcome = after_report(
        phase,
        recoverable=True,
        system=False,
        abort_requested=False,
        timeout=Cause.NONE,
        in_time=True,
        budget=budget(user=(5, 0)),
    )

    assert outcome is Next.END


def test_a_lost_attempt_that_never_began_costs_nothing() -> None:
    assert after_loss(Phase.QUEUED, budget=budget(system=(0, 0))) is Next.AGAIN


@pytest.mark.parametrize(("lost", "expected"), [(0, Next.RETRY), (2, Next.RETRY), (3, Next.LOST)])
def test_a_lost_attempt_that_began_spends_the_budget_of_the_platform(lost: int, expected: Next) -> None:
    assert after_loss(Phase.RUNNING, budget=budget(system=(3, lost))) is expected


def after_timeout(cause: Cause, *, left: Budget) -> Next:
    return after_report(
        Phase.TIMED_OUT, recoverable=True, system=False, abort_requested=False, timeout=cause, in_time=True, budget=left
    )


@pytest.mark.parametrize("cause", [Cause.RUN, Cause.QUEUED])
def test_an_attempt_that_took_too_long_spends_a_retry_of_the_task(cause: Cause) -> None:
    assert after_timeout(cause, left=budget(user=(1, 0))) is Next.RETRY
    assert after_timeout(cause, left=budget(user=(1, 1))) is Next.END


def test_nothing_follows_a_deadline() -> None:
    assert after_timeout(Cause.DEADLINE, left=budget(user=(9, 0))) is Next.END


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.TIMED_OUT])
def test_what_could_begin_only_after_the_deadline_is_not_tried_again(phase: Phase) -> None:
    outcome = after_report(
        phase,
        recoverable=True,
        system=False,
        abort_requested=False,
        timeout=Cause.NONE,
        in_time=False,
        budget=budget(user=(9, 0)),
    )

    assert outcome is Next.END


def test_what_was_stopped_for_its_time_has_timed_out_and_what_was_aborted_has_not() -> None:
    assert ended_as(Phase.ABORTED, abort_requested=False, timeout=Cause.RUN) is Phase.TIMED_OUT
    assert ended_as(Phase.ABORTED, abort_requested=True, timeout=Cause.RUN) is Phase.ABORTED
    assert ended_as(Phase.ABORTED, abort_requested=False, timeout=Cause.NONE) is Phase.ABORTED
    assert ended_as(Phase.SUCCEEDED, abort_requested=False, timeout=Cause.RUN) is Phase.SUCCEEDED


def test_waits_grow_by_the_factor_up_to_the_cap_and_never_beyond_a_day() -> None:
    second = timedelta(seconds=1)
    paced = Backoff(base=second, factor=3.0, cap=second * 20)

    assert [wait(paced, user_failures=n) for n in (1, 2, 3, 4)] == [second, second * 3, second * 9, second * 20]
    assert wait(Backoff(base=second, factor=1000.0, cap=None), user_failures=500) == timedelta(days=1)
    assert wait(None, user_failures=3) == timedelta(0)
