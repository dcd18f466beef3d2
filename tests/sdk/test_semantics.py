"""What the stock SDK can say of timeouts, retries, conditions, caching, limits and recovery, on the whole product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.checkout import until
from support.runs import at_once, finish, phase_of, start, the_child
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
    import asyncio
    import time
    from datetime import timedelta

    import flyte
    from flyte.extras import Sleep

    env = flyte.TaskEnvironment(name="semantics")
    sleeping = flyte.TaskEnvironment(name="sleeping", plugin_config=Sleep())

    @sleeping.task
    async def leaf(length: timedelta) -> None:
        pass

    @env.task(timeout=timedelta(seconds=2))
    async def slow() -> int:
        await asyncio.sleep(60)
        return 1

    @env.task
    async def impatient() -> str:
        try:
            await slow()
        except Exception as e:
            return f"caught {type(e).__name__}"
        return "no timeout"

    paced = flyte.Backoff(base=timedelta(seconds=1), factor=2.0, cap=timedelta(minutes=1))

    @env.task(retries=flyte.RetryStrategy(count=2, backoff=paced))
    async def flaky(marks: str) -> int:
        with open(marks, "a") as file:
            file.write(f"{time.time()}\\n")
        with open(marks) as file:
            if len(file.readlines()) < 3:
                raise ValueError("not yet")
        return 7

    @env.task
    async def asks() -> str:
        approved = await flyte.new_condition.aio("approve", prompt="ship it?", data_type=bool)
        answer = await approved.wait.aio()
        return f"answered {answer}"

    @env.task(cache=flyte.Cache(behavior="override", version_override="v1"))
    async def square(x: int, marks: str) -> int:
        with open(marks, "a") as file:
            file.write(f"{x}\\n")
        return x * x

    @env.task
    async def squares(marks: str) -> int:
        return sum(await asyncio.gather(*(square(x, marks) for x in range(3))))

    @env.task
    async def wide(n: int) -> int:
        await asyncio.gather(*(leaf(timedelta(milliseconds=300 + i)) for i in range(n)))
        return n

    @env.task
    async def step(x: int, marks: str) -> int:
        with open(marks, "a") as file:
            file.write(f"step {x}\\n")
        return x + 1

    @env.task
    async def breaks(x: int, marks: str) -> int:
        import os
        if not os.path.exists(marks + ".mended"):
            raise ValueError("broken")
        return x + 1

    @env.task
    async def pipeline(marks: str) -> int:
        return await breaks(await step(1, marks), marks)
"""


OVERWRITES = """
    import sys
    import flyte
    from semantics import squares

    flyte.init_from_config(None)
    run = flyte.with_runcontext(overwrite_cache=True).run(squares, marks=sys.argv[1])
    run.wait(quiet=True)
    print("sum", run.outputs()[0])
"""


@pytest.fixture(scope="module")
def program(stack: Stack) -> Path:
    return stack.program("semantics", PROGRAM)


def test_a_task_that_runs_too_long_times_out_and_its_parent_can_catch_that(stack: Stack, program: Path) -> None:
    name = start(stack, program, "impatient")

    assert "caught TaskTimeoutError" in finish(stack, name)
    assert phase_of(the_child(stack, name, "slow")) == "TIMED_OUT"


def test_retries_wait_for_their_backoff(stack: Stack, program: Path) -> None:
    marks = stack.root / "flaky"
    name = start(stack, program, "flaky", "--marks", str(marks))

    assert "7" in finish(stack, name)
    first, second, third = (float(at) for at in marks.read_text().split())
    assert second - first >= 1
    assert third - second >= 2


def test_a_condition_waits_for_the_cli_and_the_task_goes_on_with_the_answer(stack: Stack, program: Path) -> None:
    name = start(stack, program, "asks")
    paused = "ACTION_PHASE_PAUSED"
    until(lambda: any(a["status"]["phase"] == paused for a in stack.actions(name)), within=60, what=lambda: name)
    listed = stack.flyte("get", "condition", name).stdout
    assert "approve" in listed
    condition = next(a["id"]["name"] for a in stack.actions(name) if a["status"]["phase"] == paused)

    stack.flyte("signal", "condition", name, condition, "true")

    assert "answered True" in finish(stack, name)


def test_a_cached_task_runs_once_and_again_only_when_the_run_overwrites(stack: Stack, program: Path) -> None:
    marks = stack.root / "cached"
    for _ in range(2):
        assert "5" in finish(stack, start(stack, program, "squares", "--marks", str(marks)))
    assert sorted(marks.read_text().split()) == ["0", "1", "2"]

    hit = start(stack, program, "squares", "--marks", str(marks))
    finish(stack, hit)
    statuses = {a["status"].get("cacheStatus") for a in stack.actions(hit) if a["id"]["name"] != "a0"}
    assert statuses == {"CACHE_HIT"}
    said = stack.python(stack.program("overwrites", OVERWRITES), str(marks))
    assert "sum 5" in said
    assert len(marks.read_text().split()) == 6


def test_a_run_with_a_limit_never_has_more_actions_at_once(stack: Stack, program: Path) -> None:
    name = start(stack, program, "wide", "--n", "12", before=("--max-action-concurrency", "4"))

    assert "12" in finish(stack, name)
    assert 2 <= at_once(stack, name, "leaf") <= 3, "the root has the fourth place"


def test_a_recovered_run_takes_over_what_succeeded_and_runs_the_rest(stack: Stack, program: Path) -> None:
    marks = stack.root / "steps"
    failed = start(stack, program, "pipeline", "--marks", str(marks))
    finish(stack, failed, phase="FAILED")
    Path(f"{marks}.mended").touch()

    said = stack.flyte("rerun", failed, "--recover").stdout
    found = re.search(r"/runs/([a-z0-9-]+)", said)
    assert found, said

    assert "3" in finish(stack, found.group(1))
    assert marks.read_text().split("\n") == ["step 1", ""], "the step ran once"
    step = the_child(stack, found.group(1), "step")
    assert phase_of(step) == "RECOVERED"
    assert step["metadata"]["recoveredFrom"]["run"]["name"] == failed
