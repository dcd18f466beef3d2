"""When to try a call again: full jitter, so that many clusters do not come back in step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from connectrpc.errors import ConnectError

FIRST = 0.5
CAP = 15.0
Res = TypeVar("Res")


def delays() -> Iterator[float]:
    """Seconds to wait before each further try, without end: uniform below 0.5 s, doubling to at most 15 s."""
    bound = FIRST
    while True:
        yield random.uniform(0, bound)  # noqa: S311  # spreads load, guards nothing
        bound = min(2 * bound, CAP)


async def until_answered(call: Callable[[], Awaitable[Res]], failed: Callable[[ConnectError], None]) -> Res:
    """The first answer of `call`, tried without end; `failed` is told of each failure, and raises to give up."""
    for delay in delays():
        try:
            return await call()
        except ConnectError as error:
            failed(error)
        await asyncio.sleep(delay)
    raise AssertionError("delays() has no end")
