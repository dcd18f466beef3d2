"""Who may run a process now: at most `limit` at once, in the order of asking.

A parent that waits for children of this same cluster gives its slot back, else a tree deeper than `limit` would wait
for itself. It does not take the slot again: it mostly sleeps until its children are done.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from signalbox_dataplane.executor import ActionKey


class Slots:
    """Not for use from several threads."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._holders: set[ActionKey] = set()
        self._children: Counter[ActionKey] = Counter()

    @asynccontextmanager
    async def slot(self, action: ActionKey) -> AsyncGenerator[None]:
        """Hold a slot; waits for one behind all who asked earlier."""
        await self._take()
        self._holders.add(action)
        if self._children[action]:
            self._give_back(action)
        try:
            yield
        finally:
            self._give_back(action)

    def child_arrived(self, parent: ActionKey) -> None:
        """A child of this action is to run here: until it left, the parent needs no slot."""
        self._children[parent] += 1
        self._give_back(parent)

    def child_left(self, parent: ActionKey) -> None:
        self._children[parent] -= 1
        if not self._children[parent]:
            del self._children[parent]

    async def _take(self) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:  # the turn came in the same moment
                self._release()
            raise

    def _give_back(self, action: ActionKey) -> None:
        if action in self._holders:
            self._holders.remove(action)
            self._release()

    def _release(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                self._waiting.remove(turn)
                turn.set_result(None)
                return
        self._free += 1
