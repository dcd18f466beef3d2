"""What does not succeed: failing children, retries, aborts, and programs that cannot run."""

from __future__ import annotations

import time

import pytest

from support.checkout import until
from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FAILING = """
    import asyncio
    import os
    import flyte
    import flyte.errors

    env = flyte.TaskEnvironment(name="failing")

    @env.task
    async def fails() -> int:
        raise ValueError("the number is wrong")

    @env.task
    async def caught() -> str:
        try:
            await fails()
        except flyte.errors.RuntimeUserError as e:
            return f"caught {e}"
        return "nothing was raised"

    @env.task(retries=2)
    async def third_time_lucky(marks: str) -> int:
        with open(marks, "a") as file:
            file.write("x")
        if os.path.getsize(marks) < 3:
            raise flyte.errors.RuntimeUserError("TooSoon", "not yet")
        return os.path.getsize(marks)

    @env.task
    async def leaf(seconds: float) -> int:
        await asyncio.sleep(seconds)
        return 1

    @env.task
    async def long() -> int:
        return sum(await asyncio.gather(*(leaf(600.0 + i) for i in range(2))))

    @flyte.trace
    async def traced(x: int) -> int:
        return x + 1

    @env.task
    async def traces() -> int:
        return await traced(1) + await traced(10)
"""


def test_an_error_of_a_child_reaches_its_parent(stack: Stack) -> None:
    program = stack.program("failing", FAILING)

    name = run_name(stack.flyte("run", str(program), "caught").stdout)

    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    assert "the number is wrong" in stack.flyte("get", "io", name, "--outputs-only").stdout


def test_a_task_that_fails_fails_its_run_and_says_why(stack: Stack) -> None:
    program = stack.program("failing", FAILING)

    name = run_name(stack.flyte("run", str(program), "fails").stdout)

    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "FAILED"
    details = stack.ask("flyteidl2.workflow.RunService/GetRunDetails", runId=stack.run_id(name))
    error = details["details"]["action"]["errorInfo"]
    assert "the number is wrong" in error["message"]
    assert error["kind"] == "KIND_USER"


def test_a_task_with_retries_is_tried_again_until_it_succeeds(stack: Stack) -> None:
    program = stack.program("failing", FAILING)
    marks = stack.root / "attempts"

    name = run_name(stack.flyte("run", str(program), "third_time_lucky", "--marks", str(marks)).stdout)

    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    assert marks.read_text() == "xxx"
    details = stack.ask("flyteidl2.workflow.RunService/GetRunDetails", runId=stack.run_id(name))
    attempts = details["details"]["action"]["attempts"]
    assert [a["phase"] for a in attempts] == ["ACTION_PHASE_FAILED", "ACTION_PHASE_FAILED", "ACTION_PHASE_SUCCEEDED"]


def test_traces_are_recorded_and_read_back(stack: Stack) -> None:
    program = stack.program("failing", FAILING)

    name = run_name(stack.flyte("run", str(program), "traces").stdout)

    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    kinds = [a["metadata"]["actionType"] for a in stack.actions(name)]
    assert sorted(kinds) == ["ACTION_TYPE_TASK", "ACTION_TYPE_TRACE", "ACTION_TYPE_TRACE"]


def test_abort_ends_a_run_its_children_and_their_processes(stack: Stack) -> None:
    program = stack.program("failing", FAILING)
    name = run_name(stack.flyte("run", str(program), "long").stdout)
    until(
        lambda: sum(a["status"]["phase"] == "ACTION_PHASE_RUNNING" for a in stack.actions(name)) == 3,
        within=60,
        what=lambda: str(stack.actions(name)),
    )

    stack.flyte("abort", "run", name)
    began = time.monotonic()

    assert stack.until_phase(name, "ABORTED", within=20) == "ABORTED"
    until(
        lambda: {a["status"]["phase"] for a in stack.actions(name)} == {"ACTION_PHASE_ABORTED"},
        within=20,
        what=lambda: str(stack.actions(name)),
    )
    until(lambda: not stack.pids(f"--run-name {name}"), within=10, what=lambda: str(stack.pids(name)))
    assert time.monotonic() - began < 30
    stack.flyte("abort", "run", name)
    assert stack.phase(name) == "ABORTED"


def test_a_program_that_cannot_be_imported_fails_with_its_reason(stack: Stack) -> None:
    program = stack.program(
        "unimportable",
        """
        import os
        import flyte

        if "ACTION_NAME" in os.environ:
            raise ImportError("a module is missing over there")

        env = flyte.TaskEnvironment(name="unimportable")

        @env.task
        async def main() -> int:
            return 1
        """,
    )

    name = run_name(stack.flyte("run", str(program), "main").stdout)

    assert stack.until_phase(name, "SUCCEEDED", "FAILED", within=90) == "FAILED"
    details = stack.ask("flyteidl2.workflow.RunService/GetRunDetails", runId=stack.run_id(name))
    assert "a module is missing over there" in details["details"]["action"]["errorInfo"]["message"]
