"""The life of an action: a model of the fenced rule against which any order of reports is played."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.rules.phases import REPORTABLE, TERMINAL, Lease, Now, Phase, Reported, Verdict, judge

HELD = Lease(cluster="c", attempt=2, epoch=5)
RUNNING = Now(phase=Phase.RUNNING, attempt=2, epoch=5, lease=HELD)


def report(phase: Phase, *, cluster: str = "c", attempt: int = 2, epoch: int = 5) -> Reported:
    return Reported(cluster=cluster, attempt=attempt, epoch=epoch, phase=phase)


def test_a_report_of_an_action_that_does_not_exist_is_unknown() -> None:
    assert judge(None, report(Phase.RUNNING)) is Verdict.UNKNOWN_ACTION


@pytest.mark.parametrize("phase", sorted(set(Phase) - REPORTABLE))
def test_a_cluster_cannot_report_a_phase_that_is_not_its_own_to_report(phase: Phase) -> None:
    assert judge(RUNNING, report(phase)) is Verdict.INVALID


@pytest.mark.parametrize(
    "stale",
    [
        report(Phase.SUCCEEDED, epoch=4),
        report(Phase.SUCCEEDED, epoch=6),
        report(Phase.SUCCEEDED, attempt=1),
        report(Phase.SUCCEEDED, attempt=3),
        report(Phase.SUCCEEDED, cluster="other"),
    ],
)
def test_only_the_lease_in_force_may_report(stale: Reported) -> None:
    assert judge(RUNNING, stale) is Verdict.STALE_EPOCH


def test_a_lease_that_was_taken_back_may_not_report() -> None:
    waiting = Now(phase=Phase.QUEUED, attempt=2, epoch=5, lease=None)

    assert judge(waiting, report(Phase.RUNNING)) is Verdict.STALE_EPOCH


@pytest.mark.parametrize("over", sorted(TERMINAL))
@pytest.mark.parametrize("phase", sorted(REPORTABLE))
def test_a_terminal_phase_absorbs(over: Phase, phase: Phase) -> None:
    verdict = judge(Now(phase=over, attempt=2, epoch=5, lease=None), report(phase))

    expected = Verdict.TERMINAL_ALREADY if phase in TERMINAL and phase != over else Verdict.DUPLICATE
    assert verdict is expected


def test_a_late_running_does_not_resurrect_a_failed_action() -> None:
    """B3: the open-source guard lets a late RUNNING of the same attempt reopen a FAILED action."""
    failed = Now(phase=Phase.FAILED, attempt=1, epoch=1, lease=None)

    assert judge(failed, report(Phase.RUNNING, attempt=1, epoch=1)) is Verdict.DUPLICATE


def test_a_late_failure_does_not_overwrite_a_success() -> None:
    """B2: the open-source guard orders phases by number, and FAILED is above SUCCEEDED."""
    done = Now(phase=Phase.SUCCEEDED, attempt=1, epoch=1, lease=None)

    assert judge(done, report(Phase.FAILED, attempt=1, epoch=1)) is Verdict.TERMINAL_ALREADY


reports = st.builds(
    Reported,
    cluster=st.sampled_from(["c", "d"]),
    attempt=st.integers(1, 2),
    epoch=st.integers(1, 3),
    phase=st.sampled_from(sorted(Phase)),
)


@given(st.lists(reports, max_size=12))
def test_in_any_order_of_reports_phases_go_forward_and_the_first_result_stands(sequence: list[Reported]) -> None:
    now = Now(phase=Phase.QUEUED, attempt=1, epoch=0, lease=Lease(cluster="c", attempt=1, epoch=2))
    seen = [now.phase]

    for each in sequence:
        if judge(now, each) is Verdict.ACCEPTED:
            assert (each.cluster, each.attempt, each.epoch) == ("c", 1, 2)
            over = each.phase in TERMINAL
            now = replace(now, phase=each.phase, epoch=each.epoch, lease=None if over else now.lease)
            seen.append(now.phase)

    assert len([phase for phase in seen if phase in TERMINAL]) <= 1
    assert len(set(seen)) == len(seen)
