from __future__ import annotations

import asyncio

from signalbox_dataplane.executor import ActionKey
from signalbox_dataplane.executor.slots import Slots


def action(name: str) -> ActionKey:
    return ActionKey("o", "p", "d", "r", name)


async def hold(slots: Slots, name: str, running: list[str], until: asyncio.Event) -> None:
    async with slots.slot(action(name)):
        running.append(name)
        await until.wait()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_slots_are_given_in_the_order_of_asking_and_again_when_free() -> None:
    slots, running, done = Slots(2), list[str](), [asyncio.Event() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for number, until in enumerate(done):
            group.create_task(hold(slots, str(number), running, until))
        await settled()
        assert running == ["0", "1"]

        done[1].set()
        await settled()
        assert running == ["0", "1", "2"]
        for until in done:
            until.set()
    assert running == ["0", "1", "2", "3"]


async def test_who_stops_waiting_takes_no_slot() -> None:
    slots, running, done = Slots(1), list[str](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(slots, "first", running, done))
        impatient = group.create_task(hold(slots, "impatient", running, done))
        group.create_task(hold(slots, "last", running, done))
        await settled()
        impatient.cancel()
        await settled()
        done.set()
    assert running == ["first", "last"]


async def test_a_turn_that_comes_with_the_cancellation_is_passed_on() -> None:
    slots, running, first, rest = Slots(1), list[str](), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(slots, "first", running, first))
        impatient = group.create_task(hold(slots, "impatient", running, rest))
        group.create_task(hold(slots, "last", running, rest))
        await settled()
        first.set()
        while not impatient.done() and len(running) < 2:
            impatient.cancel()
            await asyncio.sleep(0)
        await settled()
        assert running[-1] == "last"
        rest.set()


async def test_a_parent_whose_child_was_there_first_needs_no_slot_either() -> None:
    """A retried parent comes back while its children still run or wait here."""
    slots, running, done = Slots(1), list[str](), asyncio.Event()
    slots.child_arrived(action("parent"))
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(slots, "parent", running, done))
        group.create_task(hold(slots, "child", running, done))
        await settled()
        assert running == ["parent", "child"]
        done.set()
    slots.child_left(action("parent"))

    async with asyncio.timeout(1), slots.slot(action("parent")):
        late = asyncio.create_task(hold(slots, "late", running, done))
        await settled()
        assert "late" not in running, "without children the parent keeps its slot"
    await late
