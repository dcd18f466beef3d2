from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import LONGEST_WAIT, Cause, Owner, Timers, is_in_time, met, next_check, owner_after

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HELD = Owner.CLUSTER
durations = st.none() | st.timedeltas(timedelta(0), timedelta(days=3))


def timers(
    *, queued: timedelta | None = None, run: timedelta | None = None, deadline: timedelta | None = None
) -> Timers:
    return Timers(SINCE, queued, run, None if deadline is None else SINCE + deadline)


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.QUEUED, Cause.QUEUED),
        (Phase.WAITING_FOR_RESOURCES, Cause.QUEUED),
        (Phase.INITIALIZING, Cause.NONE),
        (Phase.RUNNING, Cause.RUN),
        (Phase.PAUSED, Cause.NONE),
    ],
)
def test_each_stage_has_its_own_bound(phase: Phase, expected: Cause) -> None:
    bounds = timers(queued=MINUTE, run=MINUTE)

    assert met(bounds, HELD, phase, now=SINCE + MINUTE) is expected
    assert met(bounds, HELD, phase, now=SINCE + MINUTE - timedelta(microseconds=1)) is Cause.NONE


def test_the_deadline_goes_before_the_others() -> None:
    assert met(timers(run=MINUTE, deadline=MINUTE), HELD, Phase.RUNNING, now=SINCE + MINUTE) is Cause.DEADLINE


def test_time_before_a_retry_is_no_time_in_the_queue() -> None:
    assert met(timers(queued=MINUTE), Owner.BACKOFF, Phase.QUEUED, now=SINCE + MINUTE * 9) is Cause.NONE
    assert next_check(timers(queued=MINUTE), Owner.BACKOFF, Phase.QUEUED, now=SINCE - MINUTE) == SINCE


def test_an_attempt_must_begin_before_the_deadline() -> None:
    assert is_in_time(timers(deadline=MINUTE), begins=SINCE + MINUTE - timedelta(microseconds=1))
    assert not is_in_time(timers(deadline=MINUTE), begins=SINCE + MINUTE)
    assert is_in_time(timers(), begins=SINCE + MINUTE * 99)
    assert is_in_time(None, begins=SINCE)


@given(
    bounds=st.builds(timers, queued=durations, run=durations, deadline=durations),
    owner=st.sampled_from(Owner),
    phase=st.sampled_from(sorted(set(Phase) - TERMINAL)),
    after=st.timedeltas(timedelta(0), timedelta(days=4)),
)
def test_no_bound_is_met_before_the_time_at_which_it_is_looked_for(
    bounds: Timers, owner: Owner, phase: Phase, after: timedelta
) -> None:
    now = SINCE + after
    if met(bounds, owner, phase, now=now):
        return

    look = next_check(bounds, owner, phase, now=now)

    assert look <= now + LONGEST_WAIT
    if owner is not Owner.BACKOFF:
        assert not met(bounds, owner, phase, now=min(look, now + LONGEST_WAIT) - timedelta(microseconds=1))


@pytest.mark.parametrize("left", sorted(set(Owner) - {Owner.PERSON}))
@pytest.mark.parametrize("is_delayed", [True, False])
@pytest.mark.parametrize("lacks_slot", [True, False])
def test_nothing_gets_past_a_line_by_leaving_it(left: Owner, is_delayed: bool, lacks_slot: bool) -> None:
    following = owner_after(left, is_delayed=is_delayed, lacks_slot=lacks_slot, computes=False)

    if left is Owner.CACHE:
        assert following is Owner.CACHE
    elif is_delayed:
        assert following is Owner.BACKOFF
    else:
        assert following is (Owner.RUN if lacks_slot else Owner.DISPATCH)


@pytest.mark.parametrize(("lacks_slot", "line"), [(True, Owner.RUN), (False, Owner.DISPATCH)])
def test_who_is_to_compute_the_result_it_waited_for_waits_for_a_slot_or_a_cluster(
    lacks_slot: bool, line: Owner
) -> None:
    assert owner_after(Owner.CACHE, is_delayed=False, lacks_slot=lacks_slot, computes=True) is line


def test_who_waits_for_a_result_is_looked_at_when_its_backoff_is_over() -> None:
    assert next_check(timers(), Owner.CACHE, Phase.QUEUED, now=SINCE - timedelta(seconds=9)) == SINCE
