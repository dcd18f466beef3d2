"""When this cluster must stop all that it holds, by its own monotonic clock.

The control plane grants attempts anew when it has not heard of a cluster for long enough. The cluster stops them before
that: `fence_after` seconds without an acknowledged report, counted from when that report was *sent*.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

Clock = Callable[[], float]


class Fence:
    """Until the first `update` there is nothing to fence: nothing was granted."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._acknowledged = clock()
        self._after: float | None = None
        self._changed = asyncio.Event()

    def now(self) -> float:
        return self._clock()

    def update(self, fence_after: float) -> None:
        self._after = fence_after
        self._changed.set()

    def acknowledged(self, sent_at: float) -> None:
        """A report that was sent at this time of the clock was acknowledged."""
        self._acknowledged = max(self._acknowledged, sent_at)

    def remaining(self) -> float | None:
        """Seconds until the fence falls, 0 or less when it has; None while none is set."""
        return None if self._after is None else self._acknowledged + self._after - self._clock()

    async def fallen(self) -> None:
        """Returns when the fence has fallen."""
        while True:
            remaining = self.remaining()
            if remaining is None:
                await self._changed.wait()
                self._changed.clear()
            elif remaining <= 0:
                return
            else:
                await asyncio.sleep(remaining)

    def restart(self) -> None:
        """Count anew from now: all that was held has been stopped."""
        self._acknowledged = self._clock()
