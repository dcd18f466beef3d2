"""How attempts end that did not succeed, and what follows: the one place that spends the budgets of an action."""

from __future__ import annotations

from flyteidl2.workflow import run_definition_pb2

from signalbox.control.journal import Journal
from signalbox.rules import attempts, timers
from signalbox.rules.attempts import Budget, Next
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Cause
from signalbox.store.actions import State


def follow(
    journal: Journal, before: State, moved: State, *, recoverable: bool, system: bool, system_retries: int
) -> None:
    """Queue another attempt if the budget has one; `moved` is the state after its end, `before` the one before that."""
    user_failures = before.user_failures + (not system)
    backoff = before.live.backoff if before.live and not system else None
    delay = attempts.wait(
        backoff and attempts.Backoff(base=backoff.base, factor=backoff.factor or 1.0, cap=backoff.cap),
        user_failures=user_failures,
    )
    following = attempts.after_report(
        moved.phase,
        recoverable=recoverable,
        system=system,
        abort_requested=before.abort_requested_at is not None,
        timeout=before.timeout_cause,
        in_time=timers.is_in_time(before.live and before.live.timers, begins=journal.now + delay),
        budget=_budget(before, system_retries=system_retries),
    )
    if following is Next.RETRY:
        journal.retry(
            moved,
            before=before,
            user_failures=user_failures,
            system_failures=before.system_failures + system,
            delay=delay,
        )


def lose(journal: Journal, state: State, *, system_retries: int) -> None:
    """The lease has ended without a report: queue the attempt anew, or end it as the budget says."""
    assert state.live is not None  # noqa: S101  # it had a lease
    epoch = state.live.epoch
    if state.abort_requested_at is not None:
        # Its lease has ended, and with it whatever still ran: the abort has taken effect.
        journal.move(state, Phase.ABORTED, epoch=epoch, at=journal.now)
        return
    if not state.timeout_cause and not timers.is_in_time(state.live.timers, begins=journal.now):
        state = state._replace(timeout_cause=Cause.DEADLINE)
    if state.timeout_cause:
        time_out(journal, state, epoch=epoch, system_retries=system_retries)
        return
    match attempts.after_loss(state.phase, budget=_budget(state, system_retries=system_retries)):
        case Next.AGAIN:
            journal.requeue(state)
        case Next.RETRY:
            moved = journal.move(
                state, Phase.FAILED, epoch=epoch, at=journal.now, error=_lost(state), error_recoverable=True
            )
            journal.retry(
                moved, before=state, user_failures=state.user_failures, system_failures=state.system_failures + 1
            )
        case Next.LOST | Next.END:
            journal.move(state, Phase.FAILED, epoch=epoch, at=journal.now, error=_lost(state))


def time_out(journal: Journal, state: State, *, epoch: int, system_retries: int) -> None:
    """An attempt that nobody holds (any more) has taken too long; `state` says for which bound."""
    moved = journal.move(state, Phase.TIMED_OUT, epoch=epoch, at=journal.now, error=timed_out(state))
    follow(journal, state, moved, recoverable=True, system=False, system_retries=system_retries)


def timed_out(state: State) -> bytes:
    """The error of an attempt that met the bound which the state names, as serialized ErrorInfo."""
    return run_definition_pb2.ErrorInfo(
        kind=run_definition_pb2.ErrorInfo.KIND_USER, code="TimedOut", message=explained(state, state.timeout_cause)
    ).SerializeToString()


def explained(state: State, cause: Cause) -> str:
    """In words, with the SDK's names for the bounds."""
    bounds = state.live.timers if state.live else None
    match cause:
        case Cause.RUN:
            return (
                f"attempt {state.attempt} timed out: it ran longer than max_runtime ({bounds and bounds.run_timeout})"
            )
        case Cause.QUEUED:
            bound = bounds and bounds.queued_timeout
            return f"attempt {state.attempt} timed out: it was queued longer than max_queued_time ({bound})"
        case Cause.DEADLINE:
            return f"timed out: not over by its deadline ({bounds and bounds.deadline})"
        case Cause.NONE:
            return "timed out, says the cluster"


def _lost(state: State) -> bytes:
    return run_definition_pb2.ErrorInfo(
        kind=run_definition_pb2.ErrorInfo.KIND_SYSTEM,
        code="LeaseLost",
        message=f"cluster {state.held_by or state.cluster} lost attempt {state.attempt}",
    ).SerializeToString()


def _budget(state: State, *, system_retries: int) -> Budget:
    return Budget(
        user_retries=state.user_retries,
        user_failures=state.user_failures,
        system_retries=system_retries,
        system_failures=state.system_failures,
    )
