"""Twenty squares and their sum: a parent task that fans out to children, the smallest workflow that needs a cluster.

With the CLI: `flyte run examples/hello.py main --n 20`. From Python: `python examples/hello.py [CONFIG]` starts a run,
waits, and prints the sum.
"""

import asyncio
import sys

import flyte

env = flyte.TaskEnvironment(name="hello")


@env.task
async def square(x: int) -> int:
    print(f"square of {x}")
    return x * x


@env.task
async def main(n: int = 20) -> int:
    """The sum of the squares of 0 to n - 1, each computed by a task of its own."""
    squares = await asyncio.gather(*(square(x) for x in range(n)))
    print(f"{n} squares add up to {sum(squares)}")
    return sum(squares)


if __name__ == "__main__":
    flyte.init_from_config(sys.argv[1] if len(sys.argv) > 1 else None)
    run = flyte.run(main, n=20)
    print(run.url)
    run.wait()
    print(run.outputs()[0])
