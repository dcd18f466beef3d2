"""Requests that arrive together share one commit.

There is no timer: whatever is pending when the last flush ends is the next batch, so that a lone request waits for
nobody and a crowd costs few commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from signalbox.errors import Exhausted, SignalboxError, Unavailable
from signalbox.log import logger
from signalbox.metrics import BATCH_SIZE

T = TypeVar("T")
R = TypeVar("R")

_log = logger("control")


class Batch(Generic[T, R]):
    """`apply` takes a list of items in one transaction and gives a result or an error for each, in order.

    An item that makes `apply` itself fail does not fail its neighbours: the batch is then applied one by one. `waiting`
    bounds the queue; above it callers get Exhausted at once instead of a late answer.
    """

    def __init__(
        self,
        name: str,
        apply: Callable[[Sequence[T]], Awaitable[Sequence[R | SignalboxError]]],
        *,
        largest: int = 500,
        waiting: int = 20_000,
    ) -> None:
        self._name = name
        self._apply = apply
        self._largest = largest
        self._waiting = waiting
        self._pending: list[tuple[T, asyncio.Future[R | SignalboxError]]] = []
        self._arrived = asyncio.Event()

    async def submit(self, item: T) -> R:
        """The item's result, after its commit. Raises what `apply` says of it, or Exhausted."""
        result = (await self.submit_all([item]))[0]
        if isinstance(result, SignalboxError):
            raise result
        return result

    async def submit_all(self, items: Sequence[T]) -> list[R | SignalboxError]:
        """A result or an error for each item, in their order, which they keep in the batch too. Raises Exhausted."""
        if len(self._pending) + len(items) > self._waiting:
            raise Exhausted(f"{self._name}: {len(self._pending)} requests are waiting")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[R | SignalboxError]] = [loop.create_future() for _ in items]
        self._pending.extend(zip(items, futures, strict=True))
        if futures:
            self._arrived.set()
        return [await future for future in futures]

    async def run(self) -> None:
        """Flush until cancelled; the requests that then still wait are cancelled too."""
        try:
            while True:
                await self._arrived.wait()
                batch, self._pending = self._pending[: self._largest], self._pending[self._largest :]
                if not self._pending:
                    self._arrived.clear()
                BATCH_SIZE.labels(self._name).observe(len(batch))
                await self._flush(batch)
        finally:
            for _, future in self._pending:
                future.cancel()

    async def _flush(self, batch: list[tuple[T, asyncio.Future[R | SignalboxError]]]) -> None:
        try:
            results = await self._apply([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as e:  # noqa: BLE001  # whatever it is, it belongs to the requests, and the loop must go on
            await self._split(batch, e)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # else its caller has gone
                future.set_result(result)

    async def _split(self, batch: list[tuple[T, asyncio.Future[R | SignalboxError]]], error: Exception) -> None:
        outage = isinstance(error, Unavailable)  # one by one would only take longer
        if len(batch) == 1 or outage:
            for _, future in batch:
                if future.done():
                    continue
                if isinstance(error, SignalboxError):
                    future.set_result(error)
                else:
                    future.set_exception(error)
            return
        _log.warning("batch_split", batch=self._name, size=len(batch), error=repr(error))
        for one in batch:
            await self._flush([one])
