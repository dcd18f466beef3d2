"""Ends every task when the agent is gone, however it went: `kill -9` leaves nothing behind.

A process of its own reads `+<process group>` and `-<process group>` lines from a pipe. Each task's group announces
itself before its command starts; the agent takes it back when the group is gone. The end of the pipe means that the
agent ended: all groups still on the list are killed. Unlike a parent-death signal this also reaches grandchildren, and
works without Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

ANNOUNCE = 'echo "+$$" >&0 && exec "$@" </dev/null'
"""Shell text that announces the process group on standard input, then becomes the command."""

LAST_WAIT = 1.0
"""Seconds for the guardian to see the end of the pipe."""


class Guardian:
    """The agent's end of the pipe."""

    def __init__(self, pipe: int, process: asyncio.subprocess.Process) -> None:
        self.pipe = pipe
        self._process = process

    async def ended(self) -> None:
        """Returns when the guardian is gone: from then on no task can start, as none would be watched."""
        await self._process.wait()

    def forget(self, group: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self.pipe, b"-%d\n" % group)


@asynccontextmanager
async def guardian() -> AsyncGenerator[Guardian]:
    """A running guardian; leaving the context ends it, and with it what is still on its list."""
    theirs, ours = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", __file__, stdin=theirs, stdout=DEVNULL, start_new_session=True
        )
    finally:
        os.close(theirs)
    try:
        yield Guardian(ours, process)
    finally:
        os.close(ours)
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for its end, but not for ever: a copy of the pipe in a process that escaped must not hold the agent."""
    try:
        async with asyncio.timeout(LAST_WAIT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def main() -> None:
    """Read the list until the pipe ends, then kill what is on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
