"""Requests that share a commit: order, errors of neighbours, overload, shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from signalbox.control.batch import Batch
from signalbox.errors import Contended, Exhausted, NotFound, SignalboxError, Unavailable


class Recorder:
    """Answers n with 10 n; refuses negative numbers; breaks altogether on 13, 14 and from 100 on; counts its calls."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, items: Sequence[int]) -> list[int | SignalboxError]:
        self.batches.append(list(items))
        self.begun.set()
        await self.gate.wait()
        if 13 in items:
            raise ZeroDivisionError
        if 14 in items:
            raise Unavailable("down")
        if any(n >= 100 for n in items):
            raise Contended("held")
        return [NotFound(str(n)) if n < 0 else 10 * n for n in items]


@asynccontextmanager
async def running(batch: Batch[int, int]) -> AsyncGenerator[None]:
    task = asyncio.create_task(batch.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_arrives_during_a_flush_shares_the_next_one() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply)
    async with running(batch):
        recorder.gate.clear()
        first = asyncio.create_task(batch.submit(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [asyncio.create_task(batch.submit(n)) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        recorder.gate.set()

        assert await first == 10
        assert [await task for task in rest] == [20, 30, 40]

    assert recorder.batches == [[1], [2, 3, 4]]


async def test_an_item_that_is_refused_does_not_concern_its_neighbours() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply)
    async with running(batch):
        good, bad = asyncio.create_task(batch.submit(1)), asyncio.create_task(batch.submit(-1))

        assert await good == 10
        with pytest.raises(NotFound, match="-1"):
            await bad


async def test_an_item_that_breaks_the_whole_batch_fails_alone() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply)
    async with running(batch):
        tasks = [asyncio.create_task(batch.submit(n)) for n in (1, 13, 2)]

        assert await tasks[0] == 10
        with pytest.raises(ZeroDivisionError):
            await tasks[1]
        assert await tasks[2] == 20


async def test_an_outage_is_told_to_all_at_once_and_not_retried_one_by_one() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply)
    async with running(batch):
        tasks = [asyncio.create_task(batch.submit(n)) for n in (1, 14, 2)]
        for task in tasks:
            with pytest.raises(Unavailable):
                await task

    assert recorder.batches == [[1, 14, 2]]


async def test_an_outage_while_a_batch_is_taken_apart_ends_it_for_the_rest_at_once() -> None:
    recorder = Recorder()

    async def apply(items: Sequence[int]) -> list[int | SignalboxError]:
        results = await recorder.apply(items)
        if len(recorder.batches) > 2:
            raise Unavailable("down")
        return results

    batch = Batch[int, int]("test", apply)
    async with running(batch):
        outcomes = await batch.submit_all([1, 3, 13, *range(4, 12)])

    assert outcomes[0] == 10
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes[1:])
    assert recorder.batches[1:] == [[1], [3]], "the first by itself, and the one that met the outage"


async def test_what_somebody_holds_is_tried_once_more_apart_from_what_concerns_others() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply, concerns=lambda n: n % 100)
    async with running(batch):
        outcomes = await batch.submit_all([101, 2, 1, 3, 2])

    assert outcomes[1::3] == [20, 20]
    assert outcomes[3] == 30
    assert isinstance(outcomes[0], Contended)
    assert isinstance(outcomes[2], Contended), "it concerns the same as the first"
    assert recorder.batches == [[101, 2, 1, 3, 2], [101, 1], [2, 2], [3]]


async def test_who_waits_in_a_batch_that_is_taken_apart_is_released_when_the_process_stops() -> None:
    begun = asyncio.Event()

    async def apply(items: Sequence[int]) -> list[int | SignalboxError]:
        if len(items) > 1:
            raise ZeroDivisionError
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    batch = Batch[int, int]("test", apply)
    async with running(batch):
        waiting = asyncio.create_task(batch.submit_all([1, 2]))
        await begun.wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)


async def test_above_its_bound_the_queue_refuses_at_once() -> None:
    batch = Batch[int, int]("test", Recorder().apply, waiting=2)
    waiting = [asyncio.create_task(batch.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0)

    with pytest.raises(Exhausted, match="2 requests are waiting"):
        await batch.submit(3)

    for task in waiting:
        task.cancel()


async def test_a_batch_is_never_larger_than_its_limit_and_keeps_the_order() -> None:
    recorder = Recorder()
    batch = Batch[int, int]("test", recorder.apply, largest=2)
    async with running(batch):
        assert await batch.submit_all([1, 2, 3, 4, 5]) == [10, 20, 30, 40, 50]

    assert recorder.batches == [[1, 2], [3, 4], [5]]


async def test_who_waits_when_the_process_stops_is_released() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batch = Batch[int, int]("test", recorder.apply, largest=1)
    async with running(batch):
        tasks = [asyncio.create_task(batch.submit(n)) for n in (1, 2)]
        await recorder.begun.wait()

    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
