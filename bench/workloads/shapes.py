"""The shapes of flyteorg/flyte-benchmarks with the stock SDK: a fan-out and a chain of core-sleep leaves.

`python shapes.py KIND N SECONDS ENVS RUNS`, in the SDK's own environment, starts RUNS runs and prints their names. ENVS
is `NAME=value,...` for the root's process, or empty for what the data plane sets.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import flyte
from flyte.extras import Sleep

env = flyte.TaskEnvironment(name="bench")
sleeping = flyte.TaskEnvironment(name="sleeping", plugin_config=Sleep())


@sleeping.task
async def leaf(length: timedelta) -> None:
    pass


@env.task
async def fanout(n: int, seconds: float) -> int:
    # microseconds apart, so that no two leaves are the same call
    await asyncio.gather(*(leaf(timedelta(seconds=seconds, microseconds=i if seconds else 0)) for i in range(n)))
    return n


@env.task
async def chain(n: int) -> int:
    for _ in range(n):
        await leaf(timedelta(0))
    return n


def main(kind: str, n: int, seconds: float, envs: dict[str, str], runs: int) -> list[str]:
    flyte.init_from_config(None)
    names: list[str] = []
    for _ in range(runs):
        runner = flyte.with_runcontext(env_vars=envs)
        run = runner.run(fanout, n=n, seconds=seconds) if kind == "fanout" else runner.run(chain, n=n)
        names.append(run.name)
    return names


if __name__ == "__main__":
    given = dict(pair.split("=") for pair in sys.argv[4].split(",") if pair)
    print(",".join(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), given, int(sys.argv[5]))))
