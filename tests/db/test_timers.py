"""Bounds and waits: armed in the database, met by its clock, whatever process looks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flyteidl2.workflow import run_definition_pb2
from prometheus_client import REGISTRY

from signalbox.control.hub import work_topic
from signalbox.ids import ROOT_ACTION
from signalbox.rules.phases import Phase, Verdict
from signalbox.rules.timers import Owner
from signalbox.store import action_details, actions, outbox, runs, work
from support.engine import CLUSTER, RUN, USER_ERROR, Engine, new_action, report

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


async def told_to_stop(engine: Engine) -> list[str]:
    async with engine.db.autocommit() as tx:
        return [abort.action for abort in await outbox.aborts(tx, CLUSTER, after=0)]


async def error_of(engine: Engine, name: str) -> run_definition_pb2.ErrorInfo:
    key = new_action(name).key
    async with engine.db.snapshot() as tx:
        attempts = await action_details.attempts(tx, key)
    return run_definition_pb2.ErrorInfo.FromString(attempts[-1].error or b"")


def overdue() -> float | None:
    return REGISTRY.get_sample_value("signalbox_actions_overdue")


async def test_an_attempt_that_runs_too_long_is_stopped_by_its_cluster_and_has_then_timed_out(engine: Engine) -> None:
    await engine.enqueue(new_action("c1")._replace(run_timeout=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))

    await engine.age(MINUTE - SECOND)
    await engine.look()
    assert await engine.phase("c1") is Phase.RUNNING
    await engine.age(SECOND * 2)
    await engine.look()

    assert await told_to_stop(engine) == ["c1"]
    assert await engine.phase("c1") is Phase.RUNNING, "it still runs: nothing may be told otherwise"
    assert await engine.report(report(granted, Phase.ABORTED)) == [Verdict.ACCEPTED]
    assert await engine.phase("c1") is Phase.TIMED_OUT
    error = await error_of(engine, "c1")
    assert (error.code, error.kind) == ("TimedOut", error.KIND_USER)
    assert "max_runtime (0:01:00)" in error.message
    assert await told_to_stop(engine) == []


async def test_running_time_begins_with_the_running_and_not_in_the_queue(engine: Engine) -> None:
    await engine.enqueue(new_action("c1")._replace(run_timeout=MINUTE))
    await engine.age(MINUTE * 10)
    await engine.look()
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))

    await engine.look()

    assert await told_to_stop(engine) == []


async def test_each_attempt_has_its_own_running_time_and_a_timeout_spends_a_retry(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=1)._replace(run_timeout=MINUTE))
    for attempt in (1, 2):
        granted = (await engine.lease())["c1"]
        assert granted.attempt == attempt
        await engine.report(report(granted, Phase.RUNNING))
        await engine.age(MINUTE)
        await engine.look()
        await engine.report(report(granted, Phase.ABORTED))

    state = await engine.state("c1")
    assert (state.phase, state.attempt, state.user_failures) == (Phase.TIMED_OUT, 2, 1)


async def test_what_nobody_took_in_time_times_out_at_once(engine: Engine) -> None:
    await engine.open_stream(capacity=1)
    await engine.lease()
    await engine.enqueue(new_action("c1")._replace(queued_timeout=MINUTE))

    await engine.age(MINUTE)
    await engine.look()

    assert await engine.phase("c1") is Phase.TIMED_OUT
    assert "max_queued_time" in (await error_of(engine, "c1")).message


async def test_an_attempt_that_waits_in_its_cluster_is_in_the_queue_until_it_initializes(engine: Engine) -> None:
    await engine.enqueue(*(new_action(name)._replace(queued_timeout=MINUTE) for name in ("c1", "c2")))
    granted = await engine.lease()
    await engine.report(report(granted["c1"], Phase.WAITING_FOR_RESOURCES), report(granted["c2"], Phase.INITIALIZING))

    await engine.age(MINUTE)
    await engine.look()

    assert await told_to_stop(engine) == ["c1"]


@pytest.mark.parametrize("held", [True, False])
async def test_a_deadline_ends_the_action_whatever_retries_are_left(engine: Engine, held: bool) -> None:
    await engine.enqueue(new_action("c1", retries=9)._replace(deadline_after=MINUTE))
    granted = (await engine.lease())["c1"] if held else None

    await engine.age(MINUTE)
    await engine.look()
    if granted:
        await engine.report(report(granted, Phase.ABORTED))

    state = await engine.state("c1")
    assert (state.phase, state.attempt) == (Phase.TIMED_OUT, 1)
    assert "deadline" in (await error_of(engine, "c1")).message


async def test_a_deadline_is_met_while_the_next_attempt_waits_for_its_backoff(engine: Engine) -> None:
    await engine.enqueue(
        new_action("c1", retries=9)._replace(deadline_after=MINUTE, backoff_base=MINUTE / 2, backoff_factor=1.0)
    )
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))
    assert (await engine.state("c1")).phase is Phase.QUEUED

    await engine.age(MINUTE)
    await engine.look()

    assert await engine.phase("c1") is Phase.TIMED_OUT


async def test_a_failure_after_the_deadline_is_the_end(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=9)._replace(deadline_after=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.age(MINUTE)

    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert await engine.phase("c1") is Phase.FAILED
    assert await engine.lease() == {}


async def test_a_failure_whose_backoff_would_reach_the_deadline_is_the_end(engine: Engine) -> None:
    await engine.enqueue(
        new_action("c1", retries=9)._replace(deadline_after=MINUTE, backoff_base=MINUTE, backoff_factor=1.0)
    )
    granted = (await engine.lease())["c1"]

    await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert await engine.phase("c1") is Phase.FAILED
    assert (await error_of(engine, "c1")).message == "no", "what happened, and not that there was no time left"


async def test_an_attempt_that_met_a_shorter_bound_is_not_tried_again_after_the_deadline(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=9)._replace(deadline_after=MINUTE, run_timeout=MINUTE / 2))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))
    await engine.age(MINUTE / 2 + SECOND)
    await engine.look()
    assert await told_to_stop(engine) == ["c1"]

    await engine.age(MINUTE)
    await engine.look()
    await engine.report(report(granted, Phase.ABORTED))

    state = await engine.state("c1")
    assert (state.phase, state.attempt) == (Phase.TIMED_OUT, 1)
    assert await engine.lease() == {}


@pytest.mark.parametrize("began", [True, False])
async def test_a_lease_that_is_lost_after_the_deadline_is_the_timeout(engine: Engine, began: bool) -> None:
    await engine.enqueue(new_action("c1", retries=9)._replace(deadline_after=MINUTE))
    granted = (await engine.lease())["c1"]
    if began:
        await engine.report(report(granted, Phase.RUNNING))
    await engine.age(MINUTE)

    await engine.open_stream(session="s2")

    assert await engine.phase("c1") is Phase.TIMED_OUT
    assert "deadline" in (await error_of(engine, "c1")).message
    assert set(await engine.lease()) == {"a0"}


async def test_a_result_that_comes_before_the_stop_counts(engine: Engine) -> None:
    await engine.enqueue(new_action("c1")._replace(run_timeout=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))
    await engine.age(MINUTE)
    await engine.look()

    assert await engine.report(report(granted, Phase.SUCCEEDED)) == [Verdict.ACCEPTED]

    assert await engine.phase("c1") is Phase.SUCCEEDED
    assert await told_to_stop(engine) == []


async def test_an_abort_of_what_is_being_stopped_for_time_is_an_abort(engine: Engine) -> None:
    await engine.enqueue(new_action("c1")._replace(run_timeout=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))
    await engine.age(MINUTE)
    await engine.look()

    await engine.abort(granted.key)
    await engine.report(report(granted, Phase.ABORTED))

    assert await engine.phase("c1") is Phase.ABORTED


async def test_a_lease_that_ends_while_the_attempt_is_being_stopped_for_time_is_the_timeout(engine: Engine) -> None:
    await engine.enqueue(new_action("c1")._replace(run_timeout=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))
    await engine.age(MINUTE)
    await engine.look()

    await engine.open_stream(session="s2")

    assert await engine.phase("c1") is Phase.TIMED_OUT


async def test_a_failed_attempt_waits_for_its_backoff_and_each_time_longer_up_to_the_cap(engine: Engine) -> None:
    await engine.enqueue(
        new_action("c1", retries=3)._replace(backoff_base=MINUTE, backoff_factor=3.0, backoff_cap=MINUTE * 5)
    )
    for wait in (MINUTE, MINUTE * 3, MINUTE * 5):
        granted = (await engine.lease())["c1"]
        await engine.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))
        state = await engine.state("c1")
        assert state.live is not None
        assert state.live.owner is Owner.BACKOFF
        await engine.age(wait - SECOND)
        await engine.look()
        assert "c1" not in await engine.lease()
        await engine.age(SECOND)
        await engine.look()

    assert (await engine.lease())["c1"].attempt == 4


async def test_what_the_platform_lost_waits_for_no_backoff(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=3)._replace(backoff_base=MINUTE))
    granted = (await engine.lease())["c1"]
    await engine.report(report(granted, Phase.RUNNING))

    await engine.open_stream(session="s2")

    assert (await engine.lease())["c1"].attempt == 2


async def test_every_action_that_is_not_over_is_looked_at_within_an_hour(engine: Engine) -> None:
    await engine.enqueue(new_action("c1"), new_action("c2"))
    await engine.lease()

    await engine.age(timedelta(minutes=61))

    assert await engine.look() == 3
    assert await engine.look() == 0
    async with engine.db.autocommit() as tx:
        assert (await actions.states(tx, [new_action("c1").key]))[new_action("c1").key].live is not None


async def test_what_nobody_looked_at_in_time_is_counted_until_somebody_does(engine: Engine) -> None:
    await engine.enqueue(new_action("c1"), new_action("c2"))
    await engine.look()
    assert overdue() == 0
    await engine.age(timedelta(hours=1, seconds=31))

    await engine.look()
    assert overdue() == 3
    async with engine.db.autocommit() as tx:
        assert await work.overdue(tx, grace=SECOND * 30) == 0
    await engine.look()

    assert overdue() == 0


async def test_what_is_due_is_not_overdue_before_its_grace_is_over(engine: Engine) -> None:
    await engine.age(timedelta(hours=1, seconds=25))

    async with engine.db.autocommit() as tx:
        assert await work.overdue(tx, grace=SECOND * 30) == 0
        assert await work.overdue(tx, grace=SECOND * 20) == 1
    await engine.look()


async def test_an_action_that_cannot_be_looked_at_keeps_no_other_waiting(engine: Engine) -> None:
    names = [f"c{n}" for n in range(9)]
    await engine.enqueue(*(new_action(name)._replace(queued_timeout=MINUTE) for name in names))
    async with engine.db.transaction() as tx:
        await tx.execute("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
        await tx.execute(
            "CREATE TRIGGER no BEFORE INSERT ON event FOR EACH ROW WHEN (new.action = 'c4') EXECUTE FUNCTION no()"
        )

    await engine.age(MINUTE)
    await engine.look()

    phases = {name: await engine.phase(name) for name in names}
    assert phases == dict.fromkeys(names, Phase.TIMED_OUT) | {"c4": Phase.QUEUED}


async def test_what_a_claim_passed_over_while_it_was_looked_at_is_offered_again(engine: Engine) -> None:
    await engine.enqueue(new_action("c1"), new_action("c2"))
    c1 = new_action("c1").key
    async with engine.db.transaction() as tx:
        await runs.lock(tx, [RUN])
        await work.lock(tx, [c1])
        assert await actions.states(tx, [c1]), "the lock is held"
        assert set(await engine.lease()) == {ROOT_ACTION, "c2"}, "only what is looked at is passed over"

    await engine.age(timedelta(minutes=61))
    with engine.hub.subscribe(work_topic(RUN.org)) as subscription:
        await engine.look()
        assert await subscription.changed(within=SECOND)
    assert set(await engine.lease()) == {"c1"}
