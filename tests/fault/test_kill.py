"""Processes killed with SIGKILL in the middle of a run: nothing lost, nothing twice, nothing stuck."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from support.checkout import until
from support.invariants import violations
from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

CHILDREN = 200
LEAVES = 196

WIDE = f"""
    import asyncio
    from datetime import timedelta
    import flyte
    from flyte.extras import Sleep

    env = flyte.TaskEnvironment(name="wide")
    sleeping = flyte.TaskEnvironment(name="sleeping", plugin_config=Sleep())

    @sleeping.task
    async def leaf(length: timedelta) -> None:
        pass

    @env.task
    async def square(x: int, marks: str) -> int:
        with open(marks, "a") as file:
            file.write(f"{{x}}\\n")
        await asyncio.sleep(4)
        return x * x

    @env.task
    async def main(marks: str) -> int:
        leaves = [leaf(timedelta(milliseconds=100 * i)) for i in range({LEAVES})]
        squares = [square(x, marks) for x in range({CHILDREN - LEAVES})]
        results = await asyncio.gather(*leaves, *squares)
        return sum(r for r in results if r is not None)
"""
SUM = sum(x * x for x in range(CHILDREN - LEAVES))


def begin(stack: Stack) -> tuple[str, Path]:
    """A run of 200 children, in which at least a quarter is over and some still runs."""
    marks = stack.root / "marks"
    name = run_name(stack.flyte("run", str(stack.program("wide", WIDE)), "main", "--marks", str(marks)).stdout)
    until(lambda: phases(stack, name)["SUCCEEDED"] >= CHILDREN // 4, within=90, what=lambda: str(phases(stack, name)))
    assert phases(stack, name)["SUCCEEDED"] < CHILDREN
    return name, marks


def phases(stack: Stack, name: str) -> Counter[str]:
    return Counter(a["status"]["phase"].removeprefix("ACTION_PHASE_") for a in stack.actions(name))


def kill(stack: Stack, program: str) -> None:
    pids = stack.pids(program)
    assert pids, program
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def check_finished(stack: Stack, name: str) -> None:
    assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", within=120) == "SUCCEEDED", stack.log("serve")
    assert phases(stack, name) == {"SUCCEEDED": CHILDREN + 1}
    assert str(SUM) in stack.flyte("get", "io", name, "--outputs-only").stdout
    assert violations(stack.database_url()) == {}


def test_a_service_killed_in_the_middle_of_a_run_comes_back_and_the_run_finishes_once(stack: Stack) -> None:
    name, marks = begin(stack)
    before = stack.pids("signalbox serve")

    kill(stack, "signalbox serve")
    until(lambda: stack.pids("signalbox serve") not in ([], before), within=20, what=lambda: stack.log("serve"))

    check_finished(stack, name)
    assert sorted(marks.read_text().split()) == [str(x) for x in range(CHILDREN - LEAVES)], "a child ran twice"


def test_a_data_plane_killed_in_the_middle_of_a_run_comes_back_and_the_run_finishes(stack: Stack) -> None:
    name, _ = begin(stack)

    kill(stack, "signalbox-dataplane serve")

    check_finished(stack, name)


def test_a_database_killed_in_the_middle_of_a_run_comes_back_and_the_run_finishes_once(stack: Stack) -> None:
    name, marks = begin(stack)
    postmaster = int((stack.state / "postgres" / "postmaster.pid").read_text().split()[0])

    os.kill(postmaster, signal.SIGKILL)

    check_finished(stack, name)
    assert sorted(marks.read_text().split()) == [str(x) for x in range(CHILDREN - LEAVES)], "a child ran twice"
