"""Waiting for processes and for what they write."""

from __future__ import annotations

import asyncio
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pids: list[int], *, within: float = 8) -> None:
    async with asyncio.timeout(within):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110  # nothing tells of the end of others' processes
            await asyncio.sleep(0.02)


async def read_when_there(path: Path, *, lines: int, within: float = 10) -> list[str]:
    """The lines of a file, once it has so many."""
    async with asyncio.timeout(within):
        while True:
            found = _words(path)
            if len(found) >= lines:
                return found
            await asyncio.sleep(0.02)


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
