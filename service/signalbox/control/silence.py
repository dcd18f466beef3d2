"""How long a stream has said nothing: what wakes it without a word of its own does not count.

A client that hears nothing takes a stream for dead, whatever kept the stream busy.
"""

from __future__ import annotations

from datetime import timedelta
from time import monotonic


class Silence:
    """Begins when it is made; `broken` begins it anew."""

    __slots__ = ("_at_most", "_since")

    def __init__(self, at_most: timedelta) -> None:
        self._at_most = at_most.total_seconds()
        self._since = monotonic()

    def broken(self) -> None:
        """The stream has said something, and its client has taken it."""
        self._since = monotonic()

    @property
    def left(self) -> timedelta:
        """Until something must be said; zero when it is due."""
        return timedelta(seconds=max(0.0, self._since + self._at_most - monotonic()))

    @property
    def is_due(self) -> bool:
        return not self.left
