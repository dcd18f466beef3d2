"""One `signalbox up` a checkout, and what an earlier one that was killed may have left.

A *leftover* is a process of this user, other than ours, that carries this checkout's mark in its environment while
we hold the lock: its supervisor is gone, because the lock was free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

from signalbox.errors import Conflict
from signalbox.up.processes import MARK

LEFTOVERS_MAY_TAKE = 5.0  # seconds to end by themselves


@contextlib.contextmanager
def only_one(path: Path) -> Generator[bool]:
    """Hold the checkout; gives whether the last holder ended without saying so. Raises Conflict.

    The kernel lets go of the lock when its holder dies, so a lock is never stale; the text in it is for people, and
    is emptied on an orderly end.
    """
    with path.open("a+") as lock:
        lock.seek(0)
        holder = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise Conflict(
                f"`signalbox up` already runs in this checkout: {holder or 'its lock is held'}",
                hint="stop that one (Ctrl-C there), or use another checkout",
            ) from e
        lock.truncate(0)
        lock.write(f"process {os.getpid()} since {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}")
        lock.flush()
        try:
            yield bool(holder)
        finally:
            lock.truncate(0)


def running(state: Path) -> dict[int, str]:
    """Process id -> command of everything that was started for this checkout and still runs; {} without /proc."""
    mark = f"{MARK}={state}".encode()
    found: dict[int, str] = {}
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                command = (environment.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command:  # a zombie has none
                    found[int(environment.parent.name)] = command.strip()
    found.pop(os.getpid(), None)
    return found


def end(state: Path) -> int:
    """Stop all leftovers, first asked, then killed; how many there were."""
    deadline = time.monotonic() + LEFTOVERS_MAY_TAKE
    ended: set[int] = set()
    while left := running(state):
        late = time.monotonic() > deadline
        for pid in left if late else left.keys() - ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        ended |= left.keys()
        if time.monotonic() > deadline + 1:
            raise Conflict(f"processes of an earlier start could not be stopped: {sorted(left)}")
        time.sleep(0.05)
    return len(ended)
