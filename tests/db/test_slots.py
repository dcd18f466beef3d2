"""A run's slots and a key's reservation: whoever leaves a line by a timeout or a retry goes back to that line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from signalbox.control.hub import work_topic
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store.actions import Kind
from signalbox.store.new_actions import NewAction
from support.engine import RUN, USER_ERROR, Engine, new_action, report

MINUTE = timedelta(minutes=1)
LIMITED = RUN._replace(run="r2")
NO_WAIT: dict[str, Any] = {}
WAIT: dict[str, Any] = {"backoff_base": MINUTE, "backoff_factor": 1.0}


@pytest_asyncio.fixture
async def limited(engine: Engine) -> Engine:
    """Beside the plain run, one with two slots whose root holds the first."""
    await engine.begin(LIMITED, max_actions=2)
    await engine.lease()
    return engine


def child(name: str, parent: str = ROOT_ACTION, *, retries: int = 0, **facts: Any) -> NewAction:
    return new_action(name, parent, run=LIMITED, retries=retries)._replace(**facts)


def condition(name: str, parent: str) -> NewAction:
    return child(name, parent, kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON, spec_digest=None)


async def owners(engine: Engine, *names: str) -> list[Owner | None]:
    states = [await engine.state(name, LIMITED) for name in names]
    return [state.live.owner if state.live else None for state in states]


@pytest.mark.parametrize("backoff", [NO_WAIT, WAIT], ids=["at once", "after a wait"])
async def test_what_timed_out_in_the_line_of_its_run_waits_there_again(
    limited: Engine, backoff: dict[str, Any]
) -> None:
    names = [f"c{i}" for i in range(6)]
    await limited.enqueue(*(child(name, retries=1, queued_timeout=MINUTE, **backoff) for name in names))
    first = await limited.lease()
    assert list(first) == ["c0"]
    await limited.report(report(first["c0"], Phase.RUNNING))

    await limited.age(MINUTE)
    await limited.look()
    await limited.age(MINUTE - timedelta(seconds=1) if backoff else timedelta())
    await limited.look()
    await limited.age(timedelta(seconds=1) if backoff else timedelta())
    await limited.look()

    assert list(await limited.lease()) == []
    assert {(await limited.state(name, LIMITED)).attempt for name in names[1:]} == {2}
    assert await owners(limited, *names[1:]) == [Owner.RUN] * 5
    await limited.report(report(first["c0"], Phase.SUCCEEDED))
    assert list(await limited.lease()) == ["c1"], "each has kept its place"


async def test_an_attempt_keeps_its_slot_while_it_waits_for_its_backoff_and_frees_it_at_its_end(
    limited: Engine,
) -> None:
    await limited.enqueue(child("c0", retries=1, **WAIT), child("c1"))
    granted = (await limited.lease())["c0"]
    await limited.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))
    assert await owners(limited, "c0", "c1") == [Owner.BACKOFF, Owner.RUN]

    await limited.age(MINUTE)
    await limited.look()
    granted = (await limited.lease())["c0"]
    assert granted.attempt == 2
    await limited.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert list(await limited.lease()) == ["c1"]


@pytest.mark.parametrize("ending", ["loss", "deadline", "abort"])
async def test_a_slot_is_free_however_its_action_ends(limited: Engine, ending: str) -> None:
    await limited.enqueue(child("c0", deadline_after=MINUTE), child("c1"))
    leased = await limited.lease()
    assert list(leased) == ["c0"]
    granted = leased["c0"]
    match ending:
        case "loss":
            for session in ("s2", "s3", "s4"):  # twice the platform tries again
                await limited.report(report(granted, Phase.RUNNING))
                await limited.open_stream(session=session)
                leased = await limited.lease()
                granted = leased.get("c0", granted)
        case "deadline":
            await limited.age(MINUTE)
            await limited.look()
            await limited.report(report(granted, Phase.ABORTED))
            leased = await limited.lease()
        case _:
            await limited.abort(granted.key)
            await limited.report(report(granted, Phase.ABORTED))
            leased = await limited.lease()

    assert await owners(limited, "c0") == [None]
    assert "c1" in leased


@pytest.mark.parametrize("waiting", ["a person", "a result"])
async def test_the_slot_of_a_new_parent_goes_on_although_its_children_need_none(limited: Engine, waiting: str) -> None:
    serialized: dict[str, Any] = {"cache_key": "k", "is_serialized": True}
    await limited.enqueue(new_action("x")._replace(cache_key="k", is_serialized=True))
    await limited.lease()
    await limited.enqueue(child("p"), child("q"))
    assert list(await limited.lease()) == ["p"]

    with limited.hub.subscribe(work_topic(LIMITED.org)) as subscription:
        await limited.enqueue(condition("d", "p") if waiting == "a person" else child("d", "p", **serialized))
        assert await subscription.changed(within=timedelta(seconds=1))

    assert list(await limited.lease()) == ["q"]


async def test_a_parent_that_is_tried_again_needs_no_slot(limited: Engine) -> None:
    await limited.enqueue(child("p", retries=1), child("q"))
    granted = (await limited.lease())["p"]
    await limited.enqueue(child("c", "p"))
    assert list(await limited.lease()) == ["q"]

    await limited.report(report(granted, Phase.FAILED, error=USER_ERROR, recoverable=True))

    assert [(g.action, g.attempt) for g in (await limited.lease()).values()] == [("p", 2)]
    assert await owners(limited, "c") == [Owner.RUN]


async def test_a_waiter_for_a_result_that_must_compute_it_after_all_waits_for_a_slot(limited: Engine) -> None:
    await limited.enqueue(new_action("x")._replace(cache_key="k", is_serialized=True))
    computing = (await limited.lease())["x"]
    await limited.enqueue(child("c0"), child("c1", cache_key="k", is_serialized=True))
    first = await limited.lease()
    assert list(first) == ["c0"]

    await limited.report(report(computing, Phase.FAILED, error=USER_ERROR))
    await limited.look()
    assert await owners(limited, "c1") == [Owner.RUN]
    await limited.report(report(first["c0"], Phase.SUCCEEDED))

    assert list(await limited.lease()) == ["c1"]


async def test_an_aborted_parent_frees_what_its_children_held(limited: Engine) -> None:
    await limited.enqueue(child("p"), child("q"))
    await limited.lease()
    await limited.enqueue(child("c", "p"))
    await limited.enqueue(child("e"))
    assert list(await limited.lease()) == ["q"]
    await limited.abort(ActionKey(*LIMITED, "q"))
    await limited.abort(ActionKey(*LIMITED, "p"))

    assert await owners(limited, "c", "e") == [None, Owner.RUN], "q stops when its cluster says so"
