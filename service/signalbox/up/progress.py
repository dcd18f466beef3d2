"""What `signalbox up` tells the person at the terminal: one line a fact, with seconds since it began.

It goes to standard error. A terminal that is gone is no error: the lines are lost, and the work, usually the orderly
stop, goes on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


def _process_start() -> float:
    """When this process began, on the monotonic clock: importing counts too. Now, where there is no /proc."""
    with contextlib.suppress(OSError):
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])  # starttime, proc(5)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.monotonic() - age
    return time.monotonic()


@dataclass(frozen=True)
class Progress:
    started: float = field(default_factory=_process_start)

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

    def say(self, subject: str, sentence: str) -> None:
        """One line about `subject`: service, data plane, database, deploy, ..."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{self.seconds:6.1f}s  {subject:<11} {sentence}\n")
            sys.stderr.flush()
