"""The sample workflow, run with the stock SDK as a user would: the CLI, then Python; the right sum proves the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from signalbox.up.commands import Commands
from signalbox.up.crew import Crew
from signalbox.up.failures import Failed

CHILDREN = 20
EXPECTED = sum(number * number for number in range(CHILDREN))
SAMPLE = Path("examples") / "hello.py"


@dataclass(frozen=True)
class Ran:
    name: str
    children: int
    result: int
    cli_seconds: float
    python_seconds: float


async def run_sample(commands: Commands, crew: Crew, config: Path) -> Ran:
    """Run the sample twice and compare its result. Raises Failed."""
    name = f"hello-{datetime.now(UTC):%m%d%H%M%S}"
    flyte = ("--config", str(config))
    began = crew.progress.seconds
    crew.progress.say("sample", f"flyte run {SAMPLE} main --n {CHILDREN}, as run {name}")
    run = ("run", "--name", name, "--follow", str(SAMPLE), "main", "--n", str(CHILDREN))
    await crew.run(commands.flyte("flyte", *flyte, *run))
    shown = await crew.capture(commands.flyte("flyte", *flyte, "get", "io", name, "--outputs-only"))
    by_cli = _number(r"\bo0=(-?\d+)\b", shown, "flyte get io")
    after_cli = crew.progress.seconds
    crew.progress.say("sample", f"python {SAMPLE}")
    printed = await crew.capture(commands.flyte("python", str(SAMPLE), str(config)))
    by_python = _number(r"(?:^|\n)(-?\d+)\s*$", printed, f"python {SAMPLE}")
    for how, result in (("flyte run", by_cli), ("python", by_python)):
        if result != EXPECTED:
            raise Failed(f"sample: {how}: {EXPECTED} wanted, got {result}")
    python_seconds = crew.progress.seconds - after_cli
    crew.progress.say("sample", f"both runs gave {EXPECTED}")
    return Ran(
        name=name, children=CHILDREN, result=by_cli, cli_seconds=after_cli - began, python_seconds=python_seconds
    )


def _number(pattern: str, text: str, source: str) -> int:
    """The number in the one place where the result is printed, colours aside. Raises Failed."""
    found = re.findall(pattern, re.sub(r"\x1b\[[0-9;]*m", "", text))
    if len(found) != 1:
        raise Failed(f"sample: {source}: one result wanted, got {text[-300:]!r}")
    return int(found[0])
