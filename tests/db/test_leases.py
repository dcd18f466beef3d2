"""Grants, and every way in which a lease ends that no report ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg

from signalbox.control import leases
from signalbox.ids import ClusterKey
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import silent_clusters
from signalbox.rules.phases import Phase, Verdict
from signalbox.settings import Settings
from support.engine import CLUSTER, NOW, RUN, TTL, Engine, held, new_action, report


async def test_an_attempt_is_granted_once_however_many_ask(engine: Engine) -> None:
    await engine.enqueue(*(new_action(f"c{i}") for i in range(300)))

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(engine.lease()) for _ in range(8)]

    granted = [name for task in asked for name in task.result()]
    assert len(granted) == len(set(granted)) == 301


async def test_no_more_is_granted_than_the_cluster_wants_to_hold_beside_parents(engine: Engine) -> None:
    await engine.enqueue(*(new_action(f"c{i}") for i in range(10)))
    await engine.open_stream(capacity=4)

    assert list(await engine.lease()) == ["a0", "c0", "c1", "c2"]
    assert list(await engine.lease()) == ["c3"]
    assert await engine.lease() == {}


async def test_a_cluster_full_of_parents_runs_their_children(engine: Engine) -> None:
    """Counted as the others, two parents on two places would wait for their children for ever."""
    other = RUN._replace(run="r2")
    await engine.open_stream(capacity=2)
    await engine.lease()
    await engine.begin(other)
    await engine.lease()
    assert await engine.lease() == {}
    await engine.enqueue(new_action("c1"), new_action("c2", run=other))

    assert list(await engine.lease()) == ["c1", "c2"]


async def test_what_a_stream_knows_of_its_room_is_not_counted_anew(engine: Engine) -> None:
    await engine.enqueue(*(new_action(f"c{i}") for i in range(150)))
    await engine.open_stream(capacity=140)
    stream = leases.Stream(number=engine.stream)

    granted = [len(grants.granted) for _ in range(4) if (grants := await leases.grant(engine.agent(), stream, ttl=TTL))]

    assert granted == [100, 41, 0, 0]  # the root is a parent, and takes no room
    assert stream.room is None


async def test_a_silent_cluster_is_granted_nothing_until_it_is_heard_of(engine: Engine) -> None:
    silence(engine, timedelta(seconds=31))

    assert await engine.lease() == {}

    await engine.open_stream()
    assert list(await engine.lease()) == ["a0"]


async def test_only_the_newest_stream_is_given_grants(engine: Engine) -> None:
    old = engine.stream
    await engine.open_stream()

    assert await leases.grant(engine.agent(), leases.Stream(number=old), ttl=TTL) is None


async def test_a_grant_that_never_arrived_is_granted_anew_as_the_same_attempt(engine: Engine) -> None:
    before = (await engine.lease())["a0"]

    assert await engine.open_stream() == 1
    after = (await engine.lease())["a0"]

    assert after.attempt == before.attempt
    assert after.epoch > before.epoch
    assert await engine.report(report(before, Phase.RUNNING)) == [Verdict.STALE_EPOCH]


async def test_what_a_session_still_holds_is_left_to_it(engine: Engine) -> None:
    granted = (await engine.lease())["a0"]
    await engine.report(report(granted, Phase.RUNNING))

    assert await engine.open_stream(held(granted)) == 0
    assert await engine.report(report(granted, Phase.SUCCEEDED)) == [Verdict.ACCEPTED]


async def test_what_a_restarted_cluster_lost_becomes_a_new_attempt(engine: Engine) -> None:
    before = (await engine.lease())["a0"]
    await engine.report(report(before, Phase.RUNNING))

    await engine.open_stream(session="s2")
    after = (await engine.lease())["a0"]

    assert after.attempt == 2
    assert after.epoch > before.epoch
    assert await engine.report(report(before, Phase.SUCCEEDED)) == [Verdict.STALE_EPOCH]
    assert (await engine.state("a0")).system_failures == 1


async def test_an_action_that_is_lost_again_and_again_fails_in_words(engine: Engine) -> None:
    for session in ("s2", "s3", "s4"):
        granted = (await engine.lease())["a0"]
        await engine.report(report(granted, Phase.RUNNING))
        await engine.open_stream(session=session)

    assert await engine.phase("a0") is Phase.FAILED
    assert await engine.lease() == {}


async def test_a_cluster_that_fell_silent_loses_its_leases_by_the_databases_clock(engine: Engine) -> None:
    granted = (await engine.lease())["a0"]
    settings = Settings(lease_ttl=timedelta(seconds=30))
    op = Op(who=RECONCILER, now=NOW, request_id="test", db=engine.db)

    assert await silent_clusters.run(op, engine.hub, settings) == 0
    silence(engine, timedelta(seconds=31))
    assert await silent_clusters.run(op, engine.hub, settings) == 1

    assert await engine.report(report(granted, Phase.RUNNING)) == [Verdict.STALE_EPOCH]
    await engine.open_stream()
    assert (await engine.lease())["a0"].epoch > granted.epoch


async def test_an_abort_of_what_a_silent_cluster_held_takes_effect_when_its_lease_ends(engine: Engine) -> None:
    await engine.lease()
    await engine.abort()
    assert await engine.phase("a0") is Phase.QUEUED
    silence(engine, timedelta(minutes=5))

    op = Op(who=RECONCILER, now=NOW, request_id="test", db=engine.db)
    await silent_clusters.run(op, engine.hub, Settings())

    assert await engine.phase("a0") is Phase.ABORTED


async def test_a_report_of_another_cluster_counts_for_nothing(engine: Engine) -> None:
    granted = (await engine.lease())["a0"]

    other = report(granted, Phase.SUCCEEDED, cluster=ClusterKey("local", "two"))
    foreign = report(granted, Phase.SUCCEEDED, cluster=ClusterKey("elsewhere", "one"))

    assert await engine.report(other) == [Verdict.STALE_EPOCH]
    assert await engine.report(foreign) == [Verdict.UNKNOWN_ACTION]


def silence(engine: Engine, how_long: timedelta) -> None:
    with psycopg.connect(engine.db.conninfo, autocommit=True) as connection:
        connection.execute(
            "UPDATE cluster SET last_seen_at = clock_timestamp() - %s WHERE name = %s", (how_long, CLUSTER.cluster)
        )
