"""The commands `signalbox up` and `signalbox reset`: their options, their output, their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from signalbox.errors import SignalboxError
from signalbox.up import leftovers
from signalbox.up.commands import Commands
from signalbox.up.deploy import deploy_beside
from signalbox.up.failures import EXIT_CODES, Failed, described
from signalbox.up.once import Proof, prove
from signalbox.up.places import Places
from signalbox.up.ports import DEFAULT_PORT, Ports
from signalbox.up.progress import Progress
from signalbox.up.reset import forget
from signalbox.up.sample import CHILDREN, SAMPLE
from signalbox.up.supervisor import Interrupted, Running, supervise

INTERRUPTED = 130

Only = Literal["service"]
Output = Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])]


def up(*, only: Only | None = None, once: bool = False, port: int = DEFAULT_PORT, output: Output = "text") -> int:
    """Run the whole product on this machine until Ctrl-C: database, service, data plane, local deployment, evidence.

    The first Ctrl-C stops everything in order within 10 s, a second one kills. State stays in .signalbox/ until
    `signalbox reset`. SIGNALBOX_DATABASE_URL replaces the embedded PostgreSQL. Exit codes: 0 stopped by Ctrl-C, 2 bad
    option, 5 already running or a port is taken, 6 a tool or the disk is missing, 7 a part failed for good, 130 --once
    was interrupted.

    Parameters
    ----------
    only
        `service` leaves out the deployment into the local emulator and its evidence.
    once
        Run the sample workflow, wait for deployment and evidence, print what was proven, and end.
    port
        Of the API; the data plane takes the next one. The console is on 8080 for 8090, else beside the API.
    output
        `json` prints the addresses, or with --once the proof, as one JSON object.

    """

    def work(progress: Progress) -> int:
        url = os.environ.get("SIGNALBOX_DATABASE_URL", "")
        commands = Commands(places=Places(Path.cwd()), ports=Ports(port), database_url=url)
        return run(commands, progress, with_deployment=only is None, once=once, output=output)

    return told(work)


def reset(*, output: Output = "text") -> int:
    """Forget the state of `signalbox up` in this folder; refused while it runs. Environments and your files stay.

    Exit codes: 0 forgotten, 5 `signalbox up` runs.
    """

    def work(progress: Progress) -> int:
        places = Places(Path.cwd())
        forget(places, progress)
        if output == "json":
            _print([json.dumps({"forgotten": str(places.state)})])
        return 0

    return told(work)


def told(work: Callable[[Progress], int]) -> int:
    """Run a command; its exit code. What went wrong is one sentence on standard error, not a traceback."""
    progress = Progress()
    try:
        return work(progress)
    except (SignalboxError, Failed) as e:
        progress.say("error", described(e))
        return next((code for kind, code in EXIT_CODES.items() if isinstance(e, kind)), 1)


def run(commands: Commands, progress: Progress, *, with_deployment: bool, once: bool, output: str) -> int:
    """Do what `up` says with these commands; the exit code. Raises what `supervise` raises, but for an interrupt."""
    commands.check(with_deployment=with_deployment)
    if once:
        return _once(commands, progress, with_deployment=with_deployment, output=output)
    try:
        asyncio.run(supervise(commands, progress, lambda running: _stay(running, with_deployment, output)))
    except Interrupted:
        return 0
    return 0


async def _stay(running: Running, with_deployment: bool, output: str) -> None:
    """Say where everything is, deploy beside, and stay until interrupted."""
    facts = _facts(running)
    _print(
        [json.dumps(facts)] if output == "json" else ["", *(f"{name:<10}{fact}" for name, fact in facts.items()), ""]
    )
    if with_deployment:
        await deploy_beside(running.commands, running.crew)
    await asyncio.get_running_loop().create_future()  # until the task is cancelled


def _facts(running: Running) -> dict[str, str]:
    commands, ports, root = running.commands, running.commands.ports, running.commands.places.root
    config = [] if running.config == commands.places.flyte_config else ["--config", _relative(running.config, root)]
    flyte = _relative(commands.places.flyte_environment / "bin" / "flyte", root)
    return {
        "API": f"http://localhost:{ports.api}",
        "console": f"http://localhost:{ports.console}/v2/domain/development/project/flytesnacks/runs",
        "evidence": _relative(commands.places.report, root),
        "next": " ".join([flyte, *config, "run", str(SAMPLE), "main", "--n", str(CHILDREN)]),
    }


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _once(commands: Commands, progress: Progress, *, with_deployment: bool, output: str) -> int:
    async def work(running: Running) -> Proof:
        return await prove(running, with_deployment=with_deployment)

    try:
        proof = asyncio.run(supervise(commands, progress, work))
    except Interrupted:
        progress.say("up", "interrupted before everything was proven")
        return INTERRUPTED
    left = leftovers.running(commands.places.state)
    if left:
        raise Failed("still running after the end", lines=tuple(left.values()))
    proven = ["", f"proven in {progress.seconds:.0f} s:", *(f"  {line}" for line in proof.lines())]
    _print([json.dumps(proof.as_json())] if output == "json" else proven)
    return 0


def _print(lines: list[str]) -> None:
    """Answers go to standard output, progress to standard error."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
