"""All programs that run now, who is restarted, and in which order they stop.

Invariants: what was started later stops earlier, stage by stage; a program that ends without being asked is started
again after a pause, until it fails too often.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from signalbox.up.processes import Child, Program, start
from signalbox.up.progress import Progress

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each restart; one more end than there are pauses within `LOOP_WITHIN` is a crash loop."""
LOOP_WITHIN = 60.0


@dataclass
class Crew:
    state: Path
    progress: Progress
    pauses: tuple[float, ...] = PAUSES
    stages: list[dict[str, Child]] = field(default_factory=list[dict[str, Child]])
    stopping: bool = False

    def next_stage(self) -> None:
        """What is started from here on stops before everything that was started until here."""
        self.stages.append({})

    async def start(self, program: Program, *, stdout: int | None = None, stderr: int | None = None) -> Child:
        """Start a program in the current stage."""
        stage = self.stages[-1]
        stage[program.name] = child = await start(program, state=self.state, stdout=stdout, stderr=stderr)
        return child

    async def run(self, program: Program) -> None:
        """Run a program to its end. Raises Failed."""
        child = await self.start(program)
        await child.succeed()

    async def capture(self, program: Program) -> str:
        """Run a program to its end; its standard output, which no log keeps. Raises Failed."""
        child = await self.start(program, stdout=asyncio.subprocess.PIPE)
        output = await child.stdout.read()
        await child.succeed()
        return output.decode()

    async def watch(self, program: Program) -> None:
        """Run a program to its end, showing each line of its standard error; the log has both. Raises Failed."""
        child = await self.start(program, stderr=asyncio.subprocess.PIPE)
        with program.log.open("ab") as log:
            async for line in child.stderr:
                log.write(line)
                log.flush()
                self.progress.say(program.name, line.decode(errors="replace").rstrip())
        await child.succeed()

    async def keep(self, child: Child) -> None:
        """Start the child's program again whenever it ends by itself. Raises Failed on a crash loop."""
        stage = next(stage for stage in self.stages if stage.get(child.program.name) is child)
        program, ends = child.program, deque[float]()
        while True:
            code = await child.wait()
            if self.stopping:
                return
            ends.append(time.monotonic())
            while ends[0] < time.monotonic() - LOOP_WITHIN:
                ends.popleft()
            if len(ends) > len(self.pauses):
                raise child.failure(
                    f"ended {len(ends)} times within {LOOP_WITHIN:.0f} s, the last time with exit code {code}"
                )
            pause = self.pauses[len(ends) - 1]
            what = f"ended unexpectedly with exit code {code}; starting it again in {pause} s; its log: {program.log}"
            self.progress.say(program.name, what)
            await asyncio.sleep(pause)
            stage[program.name] = child = await start(program, state=self.state)

    async def stop(self) -> None:
        """Stop everything, the last stage first. Takes at most the sum of the longest graces, and a second each."""
        self.stopping = True
        while self.stages:
            stage = self.stages[-1]
            running = [child for child in stage.values() if child.running]
            if running:
                self.progress.say("stop", ", ".join(child.program.name for child in running))
            for child in running:
                child.signal(signal.SIGTERM)
            for child in running:
                await child.wait()
            self.stages.pop()

    def kill(self) -> None:
        """Give nobody more time."""
        for child in self._all():
            child.signal(signal.SIGQUIT)

    def _all(self) -> Iterable[Child]:
        return [child for stage in self.stages for child in stage.values() if child.running]
