"""Results by key: looked up when an action begins, kept when it succeeds, computed by one at a time when asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signalbox.ids import ROOT_ACTION
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store.new_actions import NewAction
from support.engine import RUN, USER_ERROR, Engine, new_action, report

SECOND = RUN._replace(run="r2")
OTHER_DOMAIN = RUN._replace(domain="staging", run="r3")
URI = "file:///store/r1/x/1"
MINUTE = timedelta(minutes=1)


def cached(name: str = "c1", *, serialized: bool = False, **facts: object) -> NewAction:
    made = new_action(name, run=facts.pop("run", RUN))  # pyright: ignore[reportArgumentType]  # of a test
    return made._replace(cache_key="k", is_serialized=serialized, **facts)  # pyright: ignore[reportArgumentType]


async def computed(engine: Engine, name: str = "c1", *, cache_max_age: timedelta | None = None) -> None:
    await engine.enqueue(cached(name, cache_max_age=cache_max_age))
    await engine.report(report((await engine.lease())[name], Phase.SUCCEEDED))


async def answer(engine: Engine, action: NewAction) -> tuple[Phase, str, str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            "SELECT phase, cache_status, output_uri FROM action WHERE run = %(run)s AND name = %(action)s",
            action.key._asdict(),
        )
        row = await cursor.fetchone()
    assert row is not None
    return Phase(row[0]), row[1], row[2]


async def test_a_result_is_kept_and_answers_the_next_action_with_its_key_at_once(engine: Engine) -> None:
    await computed(engine)
    await engine.begin(SECOND)

    await engine.enqueue(cached("d1", run=SECOND))

    assert await answer(engine, cached()) == (Phase.SUCCEEDED, CacheStatus.POPULATED, URI)
    assert await answer(engine, cached("d1", run=SECOND)) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)
    assert set(await engine.lease()) == {ROOT_ACTION}


async def test_a_failure_is_not_kept(engine: Engine) -> None:
    await engine.enqueue(cached())
    await engine.report(report((await engine.lease())["c1"], Phase.FAILED, error=USER_ERROR))

    await engine.enqueue(cached("c2"))

    assert await answer(engine, cached("c2")) == (Phase.QUEUED, CacheStatus.MISS, "")


async def test_a_key_counts_in_its_project_and_domain_and_for_a_global_run_in_the_org(engine: Engine) -> None:
    await computed(engine)
    await engine.begin(OTHER_DOMAIN)
    await engine.begin(SECOND, cache_global=True)

    await engine.enqueue(cached("d1", run=OTHER_DOMAIN), cached("e1", run=SECOND))

    assert (await answer(engine, cached("d1", run=OTHER_DOMAIN)))[1] == CacheStatus.MISS
    assert (await answer(engine, cached("e1", run=SECOND)))[1] == CacheStatus.MISS


async def test_the_result_of_a_global_run_answers_global_runs_of_other_projects_and_no_others(engine: Engine) -> None:
    elsewhere = RUN._replace(project="other", domain="staging")
    await engine.begin(SECOND, cache_global=True)
    await engine.enqueue(cached("c1", run=SECOND))
    await engine.report(report((await engine.lease())["c1"], Phase.SUCCEEDED))
    await engine.begin(elsewhere._replace(run="r3"), cache_global=True)
    await engine.begin(elsewhere._replace(run="r4"))

    await engine.enqueue(
        cached("d1", run=elsewhere._replace(run="r3")), cached("e1", run=elsewhere._replace(run="r4")), cached("c9")
    )

    assert await answer(engine, cached("d1", run=elsewhere._replace(run="r3"))) == (
        Phase.SUCCEEDED,
        CacheStatus.HIT,
        URI,
    )
    assert (await answer(engine, cached("e1", run=elsewhere._replace(run="r4"))))[1] == CacheStatus.MISS
    assert (await answer(engine, cached("c9")))[1] == CacheStatus.MISS


async def test_a_run_that_overwrites_computes_anew_and_its_result_replaces_the_kept_one(engine: Engine) -> None:
    await computed(engine)
    await engine.begin(SECOND, overwrite_cache=True)
    await engine.enqueue(cached("d1", run=SECOND))
    assert (await answer(engine, cached("d1", run=SECOND)))[1] == CacheStatus.SKIPPED
    granted = (await engine.lease())["d1"]
    await engine.report(report(granted, Phase.SUCCEEDED, output_uri="file:///new"))

    await engine.enqueue(cached("c2"))

    assert await answer(engine, cached("c2")) == (Phase.SUCCEEDED, CacheStatus.HIT, "file:///new")


async def test_a_result_that_is_too_old_for_a_task_is_computed_anew(engine: Engine) -> None:
    await computed(engine)
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE cache_entry SET updated_at = updated_at - interval '6 minutes'")
    await engine.enqueue(cached("c9", cache_max_age=timedelta(minutes=10)))

    await computed(engine, "c2", cache_max_age=timedelta(minutes=5))
    await engine.enqueue(cached("c3", cache_max_age=timedelta(minutes=5)))

    assert (await answer(engine, cached("c9")))[1] == CacheStatus.HIT, "it takes older ones"

    assert (await answer(engine, cached("c2")))[1] == CacheStatus.POPULATED
    assert (await answer(engine, cached("c3")))[1] == CacheStatus.HIT


async def test_of_serialized_actions_one_runs_and_the_others_are_answered_with_its_result(engine: Engine) -> None:
    await engine.begin(SECOND)
    await engine.enqueue(cached(serialized=True), cached("c2", serialized=True))
    await engine.enqueue(cached("d1", run=SECOND, serialized=True))

    granted = await engine.lease()
    assert set(granted) == {ROOT_ACTION, "c1"}
    await engine.report(report(granted["c1"], Phase.SUCCEEDED))
    await engine.look()

    assert await answer(engine, cached("c2")) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)
    assert await answer(engine, cached("d1", run=SECOND)) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)


async def test_the_next_one_computes_when_the_first_has_failed(engine: Engine) -> None:
    await engine.enqueue(cached(serialized=True), cached("c2", serialized=True), cached("c3", serialized=True))
    granted = await engine.lease()

    await engine.report(report(granted["c1"], Phase.FAILED, error=USER_ERROR))
    await engine.look()

    assert set(await engine.lease()) == {"c2"}
    state = await engine.state("c3")
    assert state.live is not None
    assert state.live.owner is Owner.CACHE


async def test_a_computation_that_its_cluster_lost_keeps_its_reservation_for_its_next_attempt(engine: Engine) -> None:
    await engine.enqueue(cached(serialized=True), cached("c2", serialized=True))
    await engine.report(report((await engine.lease())["c1"], Phase.RUNNING))

    await engine.open_stream(session="s2")
    await engine.look()

    assert (await engine.lease())["c1"].attempt == 2


async def test_an_aborted_computation_lets_the_next_one_go_on(engine: Engine) -> None:
    await engine.begin(SECOND)
    await engine.enqueue(cached(serialized=True))
    await engine.enqueue(cached("d1", run=SECOND, serialized=True))

    await engine.abort(cached().key)
    await engine.look()

    assert "d1" in await engine.lease()


async def test_a_wait_for_a_result_takes_no_slot_of_a_limited_run(engine: Engine) -> None:
    await engine.enqueue(cached(serialized=True))
    granted = await engine.lease()
    await engine.begin(SECOND, max_actions=2)
    await engine.lease()
    await engine.enqueue(cached("d1", run=SECOND, serialized=True), new_action("d2", run=SECOND))
    assert set(await engine.lease()) == {"d2"}

    await engine.report(report(granted["c1"], Phase.FAILED, error=USER_ERROR))
    await engine.look()

    assert set(await engine.lease()) == set(), "the run's places are taken"


@pytest.mark.parametrize("wait", [timedelta(), MINUTE], ids=["at once", "after a wait"])
async def test_a_waiter_that_timed_out_waits_for_the_same_result_again(engine: Engine, wait: timedelta) -> None:
    await engine.lease()
    await engine.enqueue(
        cached(serialized=True),
        cached("c2", serialized=True, user_retries=1, queued_timeout=MINUTE, backoff_base=wait, backoff_factor=1.0),
    )
    computing = (await engine.lease())["c1"]
    await engine.report(report(computing, Phase.RUNNING))
    await engine.age(MINUTE)
    await engine.look()
    await engine.age(wait)
    await engine.look()

    assert await engine.lease() == {}
    assert (await engine.state("c2")).attempt == 2
    await engine.report(report(computing, Phase.SUCCEEDED))
    await engine.look()
    assert await answer(engine, cached("c2")) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)


async def test_a_waiter_that_timed_out_computes_nothing_before_its_backoff_is_over(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(
        cached(serialized=True),
        cached("c2", serialized=True, user_retries=1, queued_timeout=MINUTE, backoff_base=MINUTE, backoff_factor=1.0),
    )
    computing = (await engine.lease())["c1"]
    await engine.age(MINUTE)
    await engine.look()
    await engine.report(report(computing, Phase.FAILED, error=USER_ERROR))
    await engine.look()
    assert await engine.lease() == {}

    await engine.age(MINUTE)
    await engine.look()

    assert (await engine.lease())["c2"].attempt == 2


async def test_of_waiters_for_a_lost_computation_one_computes_also_when_all_time_out(engine: Engine) -> None:
    await engine.lease()
    names = ("c2", "c3", "c4")
    await engine.enqueue(
        cached(serialized=True),
        *(cached(name, serialized=True, user_retries=9, queued_timeout=MINUTE) for name in names),
    )
    computing = (await engine.lease())["c1"]
    for _ in range(3):
        await engine.age(MINUTE)
        await engine.look()

    await engine.report(report(computing, Phase.FAILED, error=USER_ERROR))
    await engine.look()

    assert list(await engine.lease()) == ["c2"]
