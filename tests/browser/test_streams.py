from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from signalbox.control.hub import run_topic
from signalbox.rules.phases import Phase
from support.browser import serving
from support.builders import a_project, a_run, actions_of

if TYPE_CHECKING:
    from support.browser import Console
    from support.database import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _until(holds: Callable[[], bool], within: float = 5) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110  # level-triggered: the hub says nothing about its subscribers
            await asyncio.sleep(0.02)


def _watchers(console: Console) -> int:
    # Private to the hub: nothing but a test of leaks needs to count them.
    return sum(len(waiting) for waiting in vars(console.hub)["_waiting"].values())


async def test_a_stream_says_something_often_and_ends_cleanly_when_the_service_stops(postgres: Server) -> None:
    with postgres.database() as url:
        async with serving(url, progress_every=timedelta(seconds=2)) as console, httpx.AsyncClient() as client:
            await a_project(console.db)
            async with console.db.transaction() as tx:
                await a_run(tx, "quiet", phase=Phase.RUNNING)
            for path in ("live", "live/quiet"):
                pauses: list[float] = []
                ticks = 0
                address = console.runs.removesuffix("runs") + path
                async with client.stream("GET", address) as stream:
                    assert stream.headers["content-type"].startswith("text/event-stream")
                    last = time.monotonic()
                    async for line in stream.aiter_lines():
                        pauses.append(time.monotonic() - last)
                        last = time.monotonic()
                        ticks += line == "event: tick"
                        if ticks == 3:
                            break
                assert max(pauses) < 2.0, path

            async with client.stream("GET", address) as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "retry: 1000"
                console.hub.drain()
                async with asyncio.timeout(3):
                    assert "event: rows" in [line async for line in lines]  # and then the end, not an error


async def test_nothing_is_kept_of_a_browser_that_went_away(console: Console) -> None:
    async with console.db.transaction() as tx:
        await a_run(tx, "left", phase=Phase.RUNNING)
    before = _watchers(console)
    async with httpx.AsyncClient() as client:
        for path in ("live", "live/left"):
            async with client.stream("GET", console.runs.removesuffix("runs") + path) as stream:
                await anext(stream.aiter_lines())
                await _until(lambda: _watchers(console) == before + 1)
            await _until(lambda: _watchers(console) == before)


@pytest.mark.unlawful_rows("one row changes without an event, as with one its parent's row would change too")
async def test_only_rows_that_changed_are_sent(console: Console) -> None:
    async with console.db.transaction() as tx:
        run = await a_run(tx, "thrifty", phase=Phase.RUNNING)
        await actions_of(tx, run, [f"n{number}" for number in range(40)])
    async with httpx.AsyncClient() as client:
        address = f"{console.runs.removesuffix('runs')}live/thrifty"
        async with client.stream("GET", address) as stream, asyncio.timeout(10):
            lines = stream.aiter_lines()
            while await anext(lines) != "event: rows":
                pass
            whole: list[str] = []
            while line := await anext(lines):
                whole.append(line)
            async with console.db.transaction() as tx:
                await tx.execute(
                    "UPDATE action SET phase = 'initializing', revision = revision + 100 WHERE run = %s AND name = %s",
                    ("thrifty", "n7"),
                )
                await tx.execute("UPDATE run SET revision = revision + 100 WHERE name = %s", ("thrifty",))
            console.hub.publish([run_topic(run)])
            while await anext(lines) != "event: region":
                pass
            change: list[str] = []
            while line := await anext(lines):
                change.append(line)

    assert sum('<tr id="' in line for line in whole) == 41
    assert [line for line in change if '<tr id="' in line] == ['data: <tr id="action-n7" class="depth-1">']
