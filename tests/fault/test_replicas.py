"""Two replicas of the service on one database: the same results as of one, and none when one of them is killed."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.replicas import another_replica
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


def run_against(stack: Stack, port: int, program: str) -> str:
    """A run that is begun at this replica."""
    config = stack.root / f"config-{port}.yaml"
    ours = (stack.root / ".flyte" / "config.yaml").read_text()
    config.write_text(ours.replace(f"localhost:{stack.port}", f"localhost:{port}"))
    return run_name(stack.flyte("--config", str(config), "run", program, "main", "--n", "6").stdout)


def test_runs_begun_at_either_replica_end_alike_also_when_one_is_killed(stack: Stack) -> None:
    program = str(stack.program("replicas", PROGRAM))
    with another_replica(stack) as second, ThreadPoolExecutor() as pool:
        begun = [pool.submit(run_against, stack, port, program) for port in (stack.port, second.port)]
        names = [future.result() for future in begun]

        second.process.send_signal(signal.SIGKILL)

        for name in names:
            assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", within=120) == "SUCCEEDED"
            assert "55" in stack.flyte("get", "io", name, "--outputs-only").stdout
