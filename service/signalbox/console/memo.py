"""One reading and one rendering for all who look at the same thing at the same revision."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Entry(Generic[T]):
    def __init__(self) -> None:
        self.making = asyncio.Lock()
        self.made: list[T] = []


class Memo(Generic[T]):
    """The newest `size` results. Who comes while one is being made waits for it; a failure is not kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives for the key. The key must name the content: a result is never made anew."""
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        # Cancelling the maker (its browser left) frees the lock, and the next one in line makes it.
        async with entry.making:
            if not entry.made:
                entry.made.append(await make())
        return entry.made[0]
