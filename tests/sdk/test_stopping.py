"""Aborts from outside: of one action, whose parent goes on; of a run, whose parent does not want to stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.checkout import until
from support.runs import begin, details, finish, phase_of, the_child
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
    import asyncio
    import signal
    from datetime import timedelta
    from pathlib import Path

    import flyte
    from flyte.extras import Sleep

    env = flyte.TaskEnvironment(name="stopping")
    sleeping = flyte.TaskEnvironment(name="sleeping", plugin_config=Sleep())

    @sleeping.task
    async def leaf(length: timedelta) -> None:
        pass

    @env.task
    async def endless() -> int:
        await asyncio.sleep(600)
        return 1

    @env.task
    async def patient() -> str:
        try:
            await endless()
        except Exception as e:
            return f"caught {type(e).__name__}"
        return "it ended"

    @env.task
    async def stubborn(marks: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for n in range(10_000):
            try:
                await leaf(timedelta(milliseconds=50 + n))
                word = "done"
            except BaseException as e:
                word = f"{type(e).__name__}: {e}"
            with open(marks, "a") as file:
                file.write(f"{word}\\n")
            await asyncio.sleep(0.05)
"""


@pytest.fixture(scope="module")
def marks(stack: Stack) -> Path:
    return stack.root / "stubborn-marks"


@pytest.fixture(scope="module")
def begun(stack: Stack, marks: Path) -> dict[str, str]:
    program = stack.program("stopping", PROGRAM)
    return begin(stack, program, patient=("patient", {}), stubborn=("stubborn", {"marks": str(marks)}))


def test_an_action_that_is_aborted_ends_and_its_parent_can_catch_that(stack: Stack, begun: dict[str, str]) -> None:
    name = begun["patient"]

    def runs() -> bool:
        return [phase_of(a) for a in stack.actions(name)] == ["RUNNING", "RUNNING"]

    until(runs, within=60, what=lambda: str(stack.actions(name)))
    child = the_child(stack, name, "endless")["id"]["name"]

    stack.flyte("abort", "action", name, child, "--reason", "changed my mind")

    assert "caught ActionAbortedError" in finish(stack, name)
    assert phase_of(the_child(stack, name, "endless")) == "ABORTED"
    assert "changed my mind" in str(details(stack, name, child))
    until(lambda: not stack.pids(f"--run-name {name}"), within=10, what=lambda: str(stack.pids(name)))


def test_a_parent_that_goes_on_enqueuing_into_an_aborted_run_is_refused_and_nothing_lives_on(
    stack: Stack, begun: dict[str, str], marks: Path
) -> None:
    name = begun["stubborn"]
    until(lambda: marks.exists() and marks.read_text().count("done") >= 3, within=60, what=lambda: stack.phase(name))

    stack.flyte("abort", "run", name)

    assert stack.until_phase(name, "ABORTED", within=20) == "ABORTED"
    until(lambda: not stack.pids(f"--run-name {name}"), within=10, what=lambda: str(stack.pids(name)))
    refused = marks.read_text().split("done\n")[-1]
    assert f"Run aborted: run local/flytesnacks/development/{name}: is being aborted" in refused, refused
    phases = {phase_of(a) for a in stack.actions(name)}
    assert phases <= {"SUCCEEDED", "ABORTED"}
    assert phase_of(next(a for a in stack.actions(name) if a["id"]["name"] == "a0")) == "ABORTED"
