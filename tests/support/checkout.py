"""A checkout of its own for each test, where `signalbox up` runs with stand-ins and a real embedded PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.up import leftovers
from support import up_with_stand_ins


@dataclass
class Checkout:
    """A folder in which `signalbox up` was or will be started."""

    root: Path
    port: int
    processes: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    @property
    def state(self) -> Path:
        return self.root / ".signalbox"

    def flag(self, name: str) -> Path:
        """Make the stand-ins misbehave; unlink the file to make them behave again."""
        path = self.root / name
        path.touch()
        return path

    def start(self, *options: str, path: str | None = None, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, up_with_stand_ins.__file__, str(self.root / "bin"), str(self.port), *options]
        environment = {k: v for k, v in os.environ.items() if k != "SIGNALBOX_DATABASE_URL"}
        tests = str(Path(up_with_stand_ins.__file__).parent.parent)
        with (self.root / "said").open("a") as said:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**environment, "PYTHONPATH": tests, **({"PATH": path} if path else {}), **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        """Everything on standard error so far, of all starts."""
        return (self.root / "said").read_text()

    def until_said(self, sentence: str, *, times: int = 1, within: float = 20) -> None:
        until(
            lambda: self.said().count(sentence) >= times, within=within, what=lambda: f"{sentence!r} in\n{self.said()}"
        )

    def up(self, *options: str) -> subprocess.Popen[str]:
        """Start, and wait until all of it runs."""
        process = self.start(*options)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.said()
        return process

    def end(self, process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send a signal and wait: the exit code, and the seconds that it took."""
        began = time.monotonic()
        process.send_signal(number)
        return process.wait(30), time.monotonic() - began

    def running(self) -> dict[int, str]:
        return leftovers.running(self.state)

    def programs(self, part: str) -> list[int]:
        """Those that run now and whose command contains `part`, without their guards."""
        return [pid for pid, command in self.running().items() if part in command and "guard.py" not in command]

    def pids(self, program: str) -> list[int]:
        """Of each start of a stand-in of the service, in order."""
        path = self.root / f"started-{program}"
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def until(holds: Callable[[], bool], *, within: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s: {what()}"
        time.sleep(0.05)


def free_port() -> int:
    """A port with a free neighbour; a default port would belong to whoever runs these tests."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
