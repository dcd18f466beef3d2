"""The programs that run beside each other: how each is started, watched and stopped.

Invariant: a program runs below a guard (see guard.py), in a session of its own, so a Ctrl-C of the terminal reaches
only the supervisor, which stops the programs in its order; and nothing that a program started outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.up import guard
from signalbox.up.failures import Failed

MARK = "SIGNALBOX_UP_STATE"
"""Every process that `signalbox up` starts has this variable: the state folder it belongs to."""

LOG_LINES = 15
LOG_KEPT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Beside the inherited one. Secrets go here or into files, never into `command`."""
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 2.5
    """Seconds between the stop signal and SIGKILL; three stages of it stay below the ten of `signalbox up`."""
    unprivileged: bool = False
    """Drop root, when there is any to drop."""


@dataclass(eq=False)
class Child:
    """A program that was started, with its guard."""

    program: Program
    process: asyncio.subprocess.Process
    log_start: int
    """Where in the log this child's own lines begin."""

    async def wait(self) -> int:
        return await self.process.wait()

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    @property
    def stdout(self) -> asyncio.StreamReader:
        return self._pipe(self.process.stdout)

    @property
    def stderr(self) -> asyncio.StreamReader:
        return self._pipe(self.process.stderr)

    def _pipe(self, reader: asyncio.StreamReader | None) -> asyncio.StreamReader:
        if reader is None:
            raise ValueError(f"{self.program.name}: its output goes to its log: no pipe was asked for")
        return reader

    def written(self) -> list[str]:
        """Lines that this child has written to its log so far."""
        with contextlib.suppress(OSError), self.program.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace").splitlines()
        return []

    def failure(self, what: str) -> Failed:
        return Failed(
            f"{self.program.name}: {what}; its log: {self.program.log}", lines=tuple(self.written()[-LOG_LINES:])
        )

    async def succeed(self) -> None:
        """Wait for the end. Raises Failed when it is not a success."""
        code = await self.wait()
        if code != 0:
            raise self.failure(f"ended with exit code {code}")

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


async def start(program: Program, *, state: Path, stdout: int | None = None, stderr: int | None = None) -> Child:
    """Start a program below its guard; what is given of `stdout` and `stderr` replaces the log."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    _keep_small(program.log)
    flags = ["--unprivileged"] if program.unprivileged and os.geteuid() == 0 else []
    options = ["--stop-signal", str(int(program.stop_signal)), "--grace", str(program.grace), *flags]
    with program.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", guard.__file__, *options, "--", *program.command,
            stdin=asyncio.subprocess.PIPE,  # its end tells the guard that the supervisor is gone
            stdout=log if stdout is None else stdout,
            stderr=log if stderr is None else stderr,
            cwd=program.directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment, MARK: str(state)},
            start_new_session=True,
        )  # fmt: skip  # options and command read best on one line
        return Child(program=program, process=process, log_start=log.tell())


async def ready(child: Child, probe: Callable[[], Awaitable[bool]], *, within: float) -> None:
    """Return as soon as `probe` says yes. Raises Failed when the child ends before, or after `within` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not await probe():
        if not child.running:
            raise child.failure(f"ended with exit code {child.process.returncode} before it was ready")
        if asyncio.get_running_loop().time() > deadline:
            raise child.failure(f"not ready after {within:.0f} s")
        await asyncio.sleep(0.05)


def _keep_small(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_KEPT_BYTES:
            log.replace(log.with_suffix(".log.1"))
