"""Where the bars of a run's timeline lie: from the run's creation to its end, or to now while it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from signalbox.control.console_views import Window
from signalbox.store.console_views import Line

WIDTH = 1000
_NARROWEST = 4


class Bar(NamedTuple):
    """`x` and `width` of `WIDTH`, None when they depend on a now that the reader knows better; `end` None: lasts."""

    word: str
    begin: int
    end: int | None
    x: float | None
    width: float | None


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`end` None: the run lasts, and the browser draws its bars by its own clock."""

    begin: datetime
    end: datetime | None

    @classmethod
    def of(cls, window: Window, *, now: datetime | None) -> Scale:
        head = window.head
        return cls(begin=head.created_at, end=head.ended_at if window.settled and head.ended_at else now)

    def bars(self, line: Line) -> list[Bar]:
        """The wait for a start, and the work since then."""
        waited_until = line.started_at or line.ended_at
        bars = [self._bar("wait", line.created_at, waited_until)]
        if line.started_at is not None:
            bars.append(self._bar("work", line.started_at, line.ended_at))
        return bars

    def _bar(self, word: str, begin: datetime, end: datetime | None) -> Bar:
        x = width = None
        if self.end is not None:
            whole = max((self.end - self.begin).total_seconds(), 0.001)
            left = min(max((begin - self.begin).total_seconds() / whole, 0.0), 1.0)
            right = min(max(((end or self.end) - self.begin).total_seconds() / whole, left), 1.0)
            x = round(min(left * WIDTH, WIDTH - _NARROWEST), 1)
            width = round(max((right - left) * WIDTH, _NARROWEST), 1)
        return Bar(word, milliseconds(begin), None if end is None else milliseconds(end), x, width)


def milliseconds(at: datetime) -> int:
    """Since 1970, as scripts count."""
    return int(at.timestamp() * 1000)
