from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.placement import Candidate, Situation, reason
from signalbox.rules.timers import Owner

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = Situation(
    phase=Phase.QUEUED,
    attempt=1,
    owner=Owner.DISPATCH,
    cluster=None,
    since=None,
    queue="default",
    is_root=False,
    max_actions=None,
    held_actions=0,
    max_runs=None,
    held_runs=0,
    queue_clusters=(),
    max_actions_of_run=0,
    slots_taken=0,
    computed_by=None,
    candidates=(Candidate("one", is_healthy=True, room=1),),
)


def test_what_could_go_at_once_is_in_line() -> None:
    assert reason(WAITING).startswith("it is in line")


def test_a_limit_on_runs_concerns_roots_only() -> None:
    full = WAITING._replace(max_runs=1, held_runs=1)

    assert reason(full).startswith("it is in line")
    assert reason(full._replace(is_root=True)) == "queue default has all 1 runs that it may"


def test_a_full_cluster_beside_a_free_one_is_no_reason() -> None:
    clusters = (Candidate("full", is_healthy=True, room=0), Candidate("free", is_healthy=True, room=1))

    assert reason(WAITING._replace(candidates=clusters)).startswith("it is in line")


@given(st.sampled_from(sorted(set(Phase) - TERMINAL)), st.none() | st.sampled_from(Owner))
def test_there_is_always_exactly_one_reason(phase: Phase, owner: Owner | None) -> None:
    said = reason(WAITING._replace(phase=phase, owner=owner, since=None if owner is not Owner.BACKOFF else _SINCE))

    assert said
    assert "\n" not in said
