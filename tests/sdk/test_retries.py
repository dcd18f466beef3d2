"""What a second attempt finds: results of its children and traces, its checkpoint; and how groups keep calls apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.runs import attempts, begin, children, finish, the_child
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
    import asyncio
    from pathlib import Path

    import flyte

    env = flyte.TaskEnvironment(name="retries")

    def mark(marks: str, word: str) -> int:
        with open(marks, "a") as file:
            file.write(word + "\\n")
        return Path(marks).read_text().split().count(word)

    @flyte.trace
    async def traced(x: int, marks: str) -> int:
        mark(marks, "trace")
        return x + 1

    @env.task
    async def child(x: int, marks: str) -> int:
        mark(marks, "child")
        return x * 10

    @env.task(retries=1)
    async def stumbles(marks: str) -> int:
        time = mark(marks, "parent")
        result = await child(await traced(1, marks), marks)
        if time == 1:
            raise ValueError("after all was done")
        return result

    @env.task(retries=1)
    async def resumes() -> str:
        checkpoint = flyte.ctx().checkpoint
        found = await checkpoint.load()
        if found is None or not found.is_file():
            await checkpoint.save(b"half of it")
            raise ValueError("in the middle")
        return f"resumed with {found.read_bytes().decode()}"

    @env.task
    async def same(x: int) -> int:
        return x

    @env.task
    async def grouped() -> int:
        with flyte.group("morning"):
            first = asyncio.gather(same(1), same(2))
        with flyte.group("evening"):
            second = asyncio.gather(same(1), same(2))
        return sum(await first) + sum(await second)
"""


@pytest.fixture(scope="module")
def marks(stack: Stack) -> Path:
    return stack.root / "retries-marks"


@pytest.fixture(scope="module")
def begun(stack: Stack, marks: Path) -> dict[str, str]:
    """All runs, begun together so that they wait together."""
    program = stack.program("retries", PROGRAM)
    return begin(
        stack, program, stumbles=("stumbles", {"marks": str(marks)}), resumes=("resumes", {}), grouped=("grouped", {})
    )


def test_a_parent_that_is_tried_again_runs_neither_its_child_nor_its_trace_again(
    stack: Stack, begun: dict[str, str], marks: Path
) -> None:
    name = begun["stumbles"]

    assert "20" in finish(stack, name)
    assert marks.read_text().split() == ["parent", "trace", "child", "parent"]
    assert attempts(stack, name) == ["FAILED", "SUCCEEDED"]
    assert attempts(stack, name, the_child(stack, name, "child")["id"]["name"]) == ["SUCCEEDED"]
    kinds = sorted(a["metadata"]["actionType"] for a in stack.actions(name))
    assert kinds == ["ACTION_TYPE_TASK", "ACTION_TYPE_TASK", "ACTION_TYPE_TRACE"]


def test_a_second_attempt_goes_on_from_the_checkpoint_of_the_first(stack: Stack, begun: dict[str, str]) -> None:
    assert "resumed with half of it" in finish(stack, begun["resumes"])

    assert attempts(stack, begun["resumes"]) == ["FAILED", "SUCCEEDED"]


def test_equal_calls_in_different_groups_are_different_actions(stack: Stack, begun: dict[str, str]) -> None:
    assert "6" in finish(stack, begun["grouped"])

    groups = [a["metadata"]["group"] for a in children(stack, begun["grouped"], "same")]
    assert sorted(groups) == ["evening", "evening", "morning", "morning"]
    assert len(stack.actions(begun["grouped"])) == 5
