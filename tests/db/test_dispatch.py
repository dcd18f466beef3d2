"""Who goes first, and who must wait: limits, priority and fairness, in the transaction that grants."""

from __future__ import annotations

import asyncio
from collections import Counter

from signalbox.control import leases
from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, RunKey
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store import clusters, queues
from signalbox.store.actions import Kind
from signalbox.store.dispatch import Granted
from signalbox.store.queues import Fairness, Queue
from support.engine import FACTS, RUN, TTL, Engine, held, new_action, report

OTHER_PROJECT = RUN._replace(project="other", run="o1")


async def configure(engine: Engine, name: str, **limits: object) -> None:
    async with engine.db.transaction() as tx:
        await queues.put(tx, Queue(org="local", name=name, **limits))  # pyright: ignore[reportArgumentType]  # of a test


async def fill(engine: Engine, queue: str, *names: str, run: RunKey = RUN) -> None:
    assert set(await engine.enqueue(*(new_action(name, run=run)._replace(queue=queue) for name in names))) == {None}


async def end(engine: Engine, *granted: Granted) -> None:
    await engine.report(*(report(g, Phase.SUCCEEDED) for g in granted))


async def test_a_queue_of_higher_priority_goes_first(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "low", priority=1)
    await configure(engine, "high", priority=9)
    await fill(engine, "low", "a", "b")
    await fill(engine, "high", "c", "d")

    assert list(await engine.lease()) == ["c", "d", "a", "b"]


async def test_a_queue_never_holds_more_actions_than_it_may(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "narrow", max_actions=2)
    await fill(engine, "narrow", "a", "b", "c")

    first = await engine.lease()
    assert list(first) == ["a", "b"]
    assert list(await engine.lease()) == []
    await end(engine, first["a"])

    assert list(await engine.lease()) == ["c"]


async def test_two_clusters_together_never_exceed_a_limit(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "narrow", max_actions=5)
    await fill(engine, "narrow", *(f"c{i}" for i in range(40)))
    other = ClusterKey("local", "two")
    async with engine.db.transaction() as tx:
        await clusters.enrol(tx, other, FACTS)
    agent = engine.agent(other)
    stream = await leases.begin(agent, engine.hub, other, session="t1", capacity=100, facts=FACTS)

    async def of_the_other() -> list[Granted]:
        grants = await leases.grant(agent, leases.Stream(number=stream), ttl=TTL)
        return grants.granted if grants else []

    rounds = await asyncio.gather(*(of_the_other() for _ in range(4)), *(engine.lease() for _ in range(4)))

    assert sum(len(granted) for granted in rounds) == 5


async def test_a_parent_in_a_narrow_queue_gives_its_place_to_its_children(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "narrow", max_actions=1)
    await fill(engine, "narrow", "p")
    await engine.lease()
    await engine.enqueue(new_action("c", "p")._replace(queue="narrow"))

    assert list(await engine.lease()) == ["c"]


async def test_no_more_runs_are_begun_than_a_queue_may_have(engine: Engine) -> None:
    root = (await engine.lease())[ROOT_ACTION]
    await configure(engine, "default", max_runs=1)
    await engine.begin(RUN._replace(run="r2"))
    await fill(engine, "", "c1")

    assert list(await engine.lease()) == ["c1"], "actions of the run that goes on are no runs"
    await end(engine, root)

    assert [(g.run, g.action) for g in (await engine.lease()).values()] == [("r2", ROOT_ACTION)]


async def test_projects_take_turns(engine: Engine) -> None:
    await engine.begin(OTHER_PROJECT)
    await engine.lease()
    await fill(engine, "", *(f"a{i}" for i in range(50)))
    await fill(engine, "", *(f"b{i}" for i in range(5)), run=OTHER_PROJECT)

    granted = list(await engine.lease())

    assert Counter(name[0] for name in granted[:10]) == {"a": 5, "b": 5}


async def test_projects_take_turns_also_when_there_is_room_for_one(engine: Engine) -> None:
    await engine.begin(OTHER_PROJECT)
    await engine.lease()
    await configure(engine, "narrow", max_actions=1)
    await fill(engine, "narrow", *(f"x{i}" for i in range(20)))
    await fill(engine, "narrow", *(f"b{i}" for i in range(5)), run=OTHER_PROJECT)
    order: list[str] = []
    for _ in range(8):
        (granted,) = (await engine.lease()).values()
        order.append(granted.action)
        await end(engine, granted)

    assert order == ["x0", "b0", "x1", "b1", "x2", "b2", "x3", "b3"]


async def test_a_first_in_first_out_queue_gives_no_turns(engine: Engine) -> None:
    await engine.begin(OTHER_PROJECT)
    await engine.lease()
    await configure(engine, "line", fairness=Fairness.FIFO)
    await fill(engine, "line", "a1", "a2", "a3")
    await fill(engine, "line", "b1", run=OTHER_PROJECT)

    assert list(await engine.lease()) == ["a1", "a2", "a3", "b1"]


async def test_queues_of_one_priority_take_turns(engine: Engine) -> None:
    """Whatever they are called: the backlog of one never starves another."""
    root = (await engine.lease())["a0"]
    await configure(engine, "alpha")
    await configure(engine, "beta")
    await fill(engine, "alpha", "a1", "a2", "a3", "a4", "a5", "a6")
    await fill(engine, "beta", "b1", "b2")
    await engine.open_stream(held(root), capacity=1)

    order: list[str] = []
    for _ in range(8):
        (granted,) = (await engine.lease()).values()
        order.append(granted.action)
        await engine.report(report(granted, Phase.SUCCEEDED))

    assert order == ["a1", "b1", "a2", "b2", "a3", "a4", "a5", "a6"]


async def test_a_batch_is_shared_by_queues_of_one_priority(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "alpha")
    await configure(engine, "beta")
    await fill(engine, "alpha", "a1", "a2", "a3")
    await fill(engine, "beta", "b1", "b2")

    assert list(await engine.lease()) == ["a1", "b1", "a2", "b2", "a3"]


async def test_a_queue_goes_to_its_clusters_only(engine: Engine) -> None:
    await engine.lease()
    await configure(engine, "gpu", clusters=["two"])
    await fill(engine, "gpu", "a")
    await fill(engine, "", "b")

    assert list(await engine.lease()) == ["b"]


async def test_an_unknown_queue_is_refused_in_words_and_its_neighbours_are_not(engine: Engine) -> None:
    verdicts = await engine.enqueue(new_action("c1")._replace(queue="nowhere"), new_action("c2"))

    assert str(verdicts[0]) == "queue: no queue 'nowhere' in org local"
    assert verdicts[1] is None


async def test_a_run_with_a_limit_never_has_more_actions_at_once(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=3)
    await engine.lease()
    await engine.enqueue(*(new_action(f"c{i}", run=run) for i in range(6)))

    first = await engine.lease()
    assert list(first) == ["c0", "c1"], "the root holds the third place"
    await end(engine, first["c0"])

    assert list(await engine.lease()) == ["c2"]
    state = await engine.state("c3", run)
    assert state.live is not None
    assert state.live.owner is Owner.RUN


async def test_a_tree_deeper_than_its_runs_limit_does_not_wait_for_itself(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=2)
    await engine.lease()
    parent = ROOT_ACTION
    for depth in range(5):
        await engine.enqueue(new_action(f"d{depth}", parent, run=run))
        assert list(await engine.lease()) == [f"d{depth}"]
        parent = f"d{depth}"


async def test_a_parent_whose_children_need_no_place_gives_up_its_own(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=2)
    await engine.lease()
    await engine.enqueue(new_action("p", run=run), new_action("c1", run=run))
    assert list(await engine.lease()) == ["p"]

    question = new_action("q1", "p", run=run)
    await engine.enqueue(question._replace(kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON))

    assert list(await engine.lease()) == ["c1"]


async def test_a_limited_run_that_is_aborted_ends_what_waits_for_a_place(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=2)
    await engine.lease()
    await engine.enqueue(*(new_action(f"c{i}", run=run) for i in range(3)))

    await engine.abort(ActionKey(*run, "c0"))

    assert (await engine.state("c0", run)).phase is Phase.ABORTED
    assert list(await engine.lease()) == ["c1"]
