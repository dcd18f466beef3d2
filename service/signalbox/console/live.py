"""Streams of server-sent events that keep a page as new as its data: whole regions, and rows of a table one by one.

A stream first says all of the window, so that it may begin and break at any moment; then only what differs. `live.js`
is the other end:

- `region`: elements, each to replace the one of its id;
- `rows`: all rows of the table in order, when rows came or went; else only `region` with the rows that changed;
- `tick`: the time in milliseconds; every stream says something at least every `progress_every`, changed or not;
- `over`: nothing can change any more: do not come again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from signalbox.control.hub import StreamOver
from signalbox.errors import SignalboxError
from signalbox.log import logger
from signalbox.metrics import STREAMS_OPEN

_log = logger("console")

# A browser that does not read for this long is gone, though its connection may not say so.
_SEND_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """HTML by the id of its element: regions, and rows in the order of the table. Free of the current time."""

    regions: Mapping[str, str]
    rows: Mapping[str, str]


@dataclass
class Seen:
    """What a browser has, by digests: what it does not have yet is a difference."""

    regions: dict[str, int] = field(default_factory=dict[str, int])
    rows: dict[str, int] | None = None

    def differences(self, rendered: Rendered) -> str:
        """Events that bring the browser to `rendered`; empty when there are none."""
        regions = {name: hash(html) for name, html in rendered.regions.items()}
        rows = {name: hash(html) for name, html in rendered.rows.items()}
        changed = [html for name, html in rendered.regions.items() if self.regions.get(name) != regions[name]]
        said = ""
        if self.rows is None or list(self.rows) != list(rows):
            said += event("rows", "".join(rendered.rows.values()))
        else:
            changed += [html for name, html in rendered.rows.items() if self.rows[name] != rows[name]]
        self.regions, self.rows = regions, rows
        return (event("region", "".join(changed)) if changed else "") + said


class Pulse:
    """When a stream must say something again, though nothing changed: no later than `progress_every` after the last.

    `every`: how often to ask. Twice as often as needed, for a look may come just before a tick is due.
    """

    def __init__(self, progress_every: timedelta) -> None:
        self.every = progress_every * 0.45
        self._said = 0.0

    def beat(self, said: str) -> str:
        """What is to be said now: `said`, or a tick when it is empty and all was quiet for long enough."""
        now = asyncio.get_running_loop().time()
        if not said and now - self._said < self.every.total_seconds():
            return ""
        self._said = now
        return said or tick()


def tick() -> str:
    return event("tick", str(time.time_ns() // 1_000_000))


def event(name: str, data: str = "") -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


class EventStream(StreamingResponse):
    """Ends cleanly on `StreamOver`, and at once when the browser leaves; `events` is closed in any case."""

    def __init__(self, events: AsyncGenerator[str]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(_until_over(events), media_type="text/event-stream", headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Mapping[str, object]) -> None:
            async with asyncio.timeout(_SEND_SECONDS):
                await send(dict(message))

        async with aclosing(self._events):
            try:
                with STREAMS_OPEN.labels("console").track_inprogress():
                    await super().__call__(scope, receive, bounded)
            except TimeoutError:
                return


async def _until_over(events: AsyncGenerator[str]) -> AsyncGenerator[str]:
    yield f"retry: 1000\n{tick()}"
    try:
        async for said in events:
            yield said
    except StreamOver:
        return
    except SignalboxError as e:
        # The page is kept as it is, and the browser comes again.
        _log.info("page_stream", error=e.message, detail=e.detail)
