"""Two replicas of the service on one database: the same results as of one, and none when one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from support.checkout import free_port, until
from support.invariants import violations
from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PROGRAM = """
    import asyncio
    import flyte

    env = flyte.TaskEnvironment(name="wide")

    @env.task
    async def square(x: int) -> int:
        await asyncio.sleep(1)
        return x * x

    @env.task
    async def main(n: int) -> int:
        return sum(await asyncio.gather(*(square(x) for x in range(n))))
"""


@contextmanager
def another_replica(stack: Stack) -> Generator[tuple[int, subprocess.Popen[bytes]]]:
    """A second `signalbox serve` on the stack's database."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "signalbox", "serve"],
        env={name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        | {
            "SIGNALBOX_DATABASE_URL": stack.database_url(),
            "SIGNALBOX_LISTEN": f"127.0.0.1:{port}",
            "SIGNALBOX_AUTH": "development",
        },
        stderr=subprocess.DEVNULL,
    )

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(ready, within=20, what=lambda: "the second replica is ready")
        yield port, process
    finally:
        process.kill()
        process.wait()


def run_against(stack: Stack, port: int, program: str) -> str:
    """A run that is begun at this replica."""
    config = stack.root / f"config-{port}.yaml"
    ours = (stack.root / ".flyte" / "config.yaml").read_text()
    config.write_text(ours.replace(f"localhost:{stack.port}", f"localhost:{port}"))
    return run_name(stack.flyte("--config", str(config), "run", program, "main", "--n", "6").stdout)


def test_runs_begun_at_either_replica_end_alike_also_when_one_is_killed(stack: Stack) -> None:
    program = str(stack.program("replicas", PROGRAM))
    with another_replica(stack) as (second, process), ThreadPoolExecutor() as pool:
        begun = [pool.submit(run_against, stack, port, program) for port in (stack.port, second)]
        names = [future.result() for future in begun]

        process.send_signal(signal.SIGKILL)

        for name in names:
            assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", within=120) == "SUCCEEDED"
            assert "55" in stack.flyte("get", "io", name, "--outputs-only").stdout
    assert violations(stack.database_url()) == {}
