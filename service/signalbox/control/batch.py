"""Requests that arrive together share one commit.

There is no timer: whatever is pending when the last flush ends is the next batch, so that a lone request waits for
nobody and a crowd costs few commits.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

from signalbox.errors import Contended, Exhausted, SignalboxError, Unavailable
from signalbox.log import logger
from signalbox.metrics import BATCH_SIZE

T = TypeVar("T")
R = TypeVar("R")

_Items: TypeAlias = list[tuple[T, asyncio.Future[R | SignalboxError]]]

_log = logger("control")


class Batch(Generic[T, R]):
    """`apply` takes a list of items in one transaction and gives a result or an error for each, in order.

    An item that makes `apply` itself fail does not fail its neighbours: the batch is then applied one by one. Only an
    outage fails all at once. `waiting` bounds the queue; above it callers get Exhausted at once instead of a late
    answer.

    `concerns`: what an item may have to wait for. When somebody else is in the way (Contended), the batch is applied
    once more in parts, each of what concerns one thing: a run that a frozen process holds costs the others two waits
    for its lock. Not one by one, or each of its items would wait anew; and nothing remembers which run it was: a
    frozen process loses its locks soon enough (store/connection.py).
    """

    def __init__(
        self,
        name: str,
        apply: Callable[[Sequence[T]], Awaitable[Sequence[R | SignalboxError]]],
        *,
        concerns: Callable[[T], Hashable] = id,
        largest: int = 500,
        waiting: int = 20_000,
    ) -> None:
        self._name = name
        self._apply = apply
        self._concerns = concerns
        self._largest = largest
        self._waiting = waiting
        self._pending: _Items[T, R] = []
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
                try:
                    await self._flush(batch)
                except asyncio.CancelledError:
                    _cancel(batch)
                    raise
        finally:
            _cancel(self._pending)

    async def _flush(self, batch: _Items[T, R]) -> Exception | None:
        """Answer every item; gives the outage that was met, if one was."""
        try:
            results = await self._apply([item for item, _ in batch])
        except Exception as e:  # noqa: BLE001  # whatever it is, it belongs to the requests, and the loop must go on
            return await self._split(batch, e)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():  # else its caller has gone
                future.set_result(result)
        return None

    async def _split(self, batch: _Items[T, R], error: Exception) -> Exception | None:
        outage = isinstance(error, Unavailable) and not isinstance(error, Contended)
        parts = [batch] if outage else self._parts(batch, error)
        if len(parts) == 1:
            _fail(batch, error)
            return error if outage else None
        _log.warning("batch_split", batch=self._name, size=len(batch), parts=len(parts), error=repr(error))
        for place, part in enumerate(parts):
            if met := await self._flush(part):
                for rest in parts[place + 1 :]:  # each would wait for the database by itself, and for nothing
                    _fail(rest, met)
                return met
        return None

    def _parts(self, batch: _Items[T, R], error: Exception) -> list[_Items[T, R]]:
        if not isinstance(error, Contended):
            return [[one] for one in batch]
        parts: defaultdict[Hashable, _Items[T, R]] = defaultdict(list)
        for item, future in batch:
            parts[self._concerns(item)].append((item, future))
        return list(parts.values())


def _fail(batch: _Items[T, R], error: Exception) -> None:
    for _, future in batch:
        if future.done():
            continue
        if isinstance(error, SignalboxError):
            future.set_result(error)
        else:
            future.set_exception(error)


def _cancel(batch: _Items[T, R]) -> None:
    for _, future in batch:
        future.cancel()
