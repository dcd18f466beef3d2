"""The stock SDK and CLI, unmodified, against the whole product: running programs and reading what came of them."""

from __future__ import annotations

import pytest

from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FAN_OUT = """
    import asyncio
    import flyte

    env = flyte.TaskEnvironment(name="fan")

    @env.task
    async def square(x: int) -> int:
        print(f"square of {x}")
        return x * x

    @env.task
    async def main(n: int = 20) -> int:
        with flyte.group("squares"):
            squares = await asyncio.gather(*(square(x) for x in range(n)))
        print(f"sum of {n}")
        return sum(squares)
"""

FROM_PYTHON = """
    import sys
    import flyte
    from fan import main

    flyte.init_from_config(None)
    run = flyte.run(main, n=3)
    run.wait(quiet=True)
    print("phase", run.phase)
    print("sum", run.outputs()[0])
"""


@pytest.fixture(scope="module")
def fanned_out(stack: Stack) -> str:
    """Name of a finished run with twenty children."""
    program = stack.program("fan", FAN_OUT)
    done = stack.flyte("run", "--follow", str(program), "main", "--n", "20")
    name = run_name(done.stdout)
    assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED") == "SUCCEEDED", stack.log("dataplane")
    return name


def test_a_parent_that_fans_out_to_twenty_children_gets_the_right_sum(stack: Stack, fanned_out: str) -> None:
    shown = stack.flyte("get", "io", fanned_out, "--outputs-only").stdout

    assert "2470" in shown
    actions = stack.actions(fanned_out)
    assert len(actions) == 21
    assert {a["status"]["phase"] for a in actions} == {"ACTION_PHASE_SUCCEEDED"}
    assert {a["metadata"].get("group") for a in actions if a["id"]["name"] != "a0"} == {"squares"}


def test_a_run_from_python_waits_and_gives_its_outputs(stack: Stack, fanned_out: str) -> None:
    printed = stack.python(stack.program("from_python", FROM_PYTHON))

    assert "sum 5" in printed
    assert "succeeded" in printed.lower()


def test_get_run_lists_runs_and_shows_one(stack: Stack, fanned_out: str) -> None:
    assert fanned_out in stack.flyte("get", "run").stdout
    assert fanned_out in stack.flyte("get", "run", fanned_out).stdout


def test_get_action_lists_every_action_of_a_run(stack: Stack, fanned_out: str) -> None:
    listed = stack.flyte("-of", "json-raw", "get", "action", fanned_out).stdout

    assert listed.count("ACTION_PHASE_SUCCEEDED") + listed.lower().count('"succeeded"') >= 20, listed
    assert "square" in listed


def test_get_io_shows_inputs_and_outputs_of_a_child(stack: Stack, fanned_out: str) -> None:
    child = next(a["id"]["name"] for a in stack.actions(fanned_out) if a["id"]["name"] != "a0")

    shown = stack.flyte("get", "io", fanned_out, child).stdout

    assert "x" in shown
    assert "o0" in shown


def test_get_logs_shows_what_a_task_printed(stack: Stack, fanned_out: str) -> None:
    assert "sum of 20" in stack.flyte("get", "logs", fanned_out).stdout


def test_get_project_shows_the_default_project(stack: Stack) -> None:
    assert "flytesnacks" in stack.flyte("get", "project").stdout


def test_whoami_shows_the_developer(stack: Stack) -> None:
    assert "developer" in stack.flyte("whoami").stdout.lower()


def test_the_console_answers_where_the_sdk_says(stack: Stack, fanned_out: str) -> None:
    program = stack.program("fan", FAN_OUT)
    said = stack.flyte("run", str(program), "main", "--n", "0").stdout

    assert f":{stack.port}/v2/domain/development/project/flytesnacks/runs/{run_name(said)}" in said.replace("\n", "")
