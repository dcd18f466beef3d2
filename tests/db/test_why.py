"""Why an action does not run: exactly one reason, in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signalbox.control import queues
from signalbox.errors import NotFound
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store import queues as rows
from signalbox.store.actions import Kind
from signalbox.store.queues import Queue
from support.engine import ROOT, RUN, USER_ERROR, Engine, new_action, report

TTL = timedelta(seconds=30)


async def why(engine: Engine, key: ActionKey = ROOT) -> str:
    return await queues.why(engine.user, key, ttl=TTL)


async def configure(engine: Engine, **limits: object) -> None:
    async with engine.db.transaction() as tx:
        await rows.put(tx, Queue(org="local", name="default", **limits))  # pyright: ignore[reportArgumentType]  # of a test


async def test_what_is_in_line_and_what_runs_and_what_is_over(engine: Engine) -> None:
    assert (await why(engine)).startswith("it is in line")
    root = (await engine.lease())[ROOT_ACTION]
    await engine.report(report(root, Phase.RUNNING))
    assert await why(engine) == "cluster one holds attempt 1, which is running"
    await engine.report(report(root, Phase.SUCCEEDED))
    assert await why(engine) == "it is over: succeeded"


async def test_a_full_cluster(engine: Engine) -> None:
    await engine.open_stream(capacity=1)
    await engine.lease()
    await engine.enqueue(new_action("c1"), new_action("c2"))
    assert list(await engine.lease()) == ["c1"]

    assert await why(engine, new_action("c2").key) == "all clusters of queue default are full: one"


async def test_a_silent_cluster_and_clusters_that_the_queue_does_not_go_to(engine: Engine) -> None:
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE cluster SET last_seen_at = clock_timestamp() - interval '1 minute'")
    assert await why(engine) == "no cluster of queue default is healthy: one silent"

    await configure(engine, clusters=["gpu"])
    assert await why(engine) == "queue default goes to gpu only, and none of these is registered"


async def test_no_cluster_at_all(engine: Engine) -> None:
    async with engine.db.transaction() as tx:
        await tx.execute("DELETE FROM cluster")

    assert await why(engine) == "no cluster is registered: enrol a data plane"


async def test_limits_of_a_queue(engine: Engine) -> None:
    await engine.lease()
    await engine.begin(RUN._replace(run="r2"))
    await configure(engine, max_runs=1)
    assert await why(engine, ActionKey(*RUN._replace(run="r2"), ROOT_ACTION)) == (
        "queue default has all 1 runs that it may"
    )

    await configure(engine, max_actions=1)
    await engine.enqueue(new_action("c1"), new_action("c2"))
    await engine.lease()
    assert await why(engine, new_action("c2").key) == "queue default holds all 1 actions that it may"


async def test_the_limit_of_a_run(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=2)
    await engine.lease()
    await engine.enqueue(new_action("c1", run=run), new_action("c2", run=run))

    assert await why(engine, new_action("c2", run=run).key) == (
        "its run has all 2 places of max_action_concurrency taken (2)"
    )


async def test_waits_for_time_for_a_person_and_for_a_result(engine: Engine) -> None:
    cached = [new_action(n)._replace(cache_key="k", is_serialized=True) for n in ("d1", "d2")]
    condition = new_action("q1")._replace(kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON)
    await engine.enqueue(new_action("c1", retries=1)._replace(backoff_base=timedelta(minutes=1)), condition, *cached)
    await engine.report(report((await engine.lease())["c1"], Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert (await why(engine, new_action("c1").key)).startswith("attempt 2 waits for its backoff until 2")
    assert await why(engine, new_action("q1").key) == "it waits for a person: signal it"
    assert await why(engine, new_action("d2").key) == (
        "it waits for local/flytesnacks/development/r1/d1 that computes the same result"
    )


async def test_what_does_not_exist(engine: Engine) -> None:
    with pytest.raises(NotFound, match="r1/nobody: not found"):
        await why(engine, new_action("nobody").key)
