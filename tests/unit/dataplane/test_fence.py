from __future__ import annotations

import asyncio

import pytest

from signalbox_dataplane.link.fence import Fence


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def has_fallen(fence: Fence) -> bool:
    try:
        async with asyncio.timeout(0.02):
            await fence.fallen()
    except TimeoutError:
        return False
    return True


async def test_no_fence_falls_before_one_is_set() -> None:
    clock = Clock()
    fence = Fence(clock)
    clock.now += 10_000

    assert fence.remaining() is None
    assert not await has_fallen(fence)


async def test_it_falls_when_nothing_was_acknowledged_for_long_enough() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.update(24)

    clock.now += 23.5
    assert not await has_fallen(fence)
    clock.now += 0.5
    assert await has_fallen(fence)


async def test_an_acknowledgement_counts_from_when_its_report_was_sent() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.update(24)
    sent = clock.now
    clock.now += 20  # the reply took so long; the control plane may have counted from the beginning

    fence.acknowledged(sent)

    assert fence.remaining() == pytest.approx(4)


async def test_an_older_acknowledgement_takes_nothing_back() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.update(24)
    clock.now += 10
    fence.acknowledged(clock.now)
    fence.acknowledged(clock.now - 9)

    assert fence.remaining() == pytest.approx(24)


async def test_after_a_fall_it_counts_anew() -> None:
    clock = Clock()
    fence = Fence(clock)
    fence.update(24)
    clock.now += 100
    assert await has_fallen(fence)

    fence.restart()

    assert fence.remaining() == pytest.approx(24)
