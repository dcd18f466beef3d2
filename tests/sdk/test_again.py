"""Work that was done before: reruns, recovery with actions forced to run again, results kept in the cache."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.runs import attempts, begin, children, details, finish, phase_of, the_child
from support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
    import asyncio
    import os

    import flyte

    env = flyte.TaskEnvironment(name="again")

    def mark(marks: str, word: str) -> None:
        with open(marks, "a") as file:
            file.write(word + "\\n")

    @env.task
    async def step(x: int, marks: str) -> int:
        mark(marks, "step")
        return x + 1

    @env.task
    async def other(x: int, marks: str) -> int:
        mark(marks, "other")
        return x + 10

    @env.task
    async def breaks(x: int, marks: str) -> int:
        if not os.path.exists(marks + ".mended"):
            raise ValueError("broken")
        mark(marks, "mended")
        return x + 100

    @env.task
    async def pipeline(marks: str) -> int:
        mark(marks, "pipeline")
        return await breaks(await other(await step(1, marks), marks), marks)

    @env.task(cache=flyte.Cache(behavior="override", version_override="v1"))
    async def kept(x: int, marks: str) -> int:
        mark(marks, "kept")
        return x * x

    @env.task(cache=flyte.Cache(behavior="override", version_override="v1", serialize=True))
    async def costly(x: int, marks: str) -> int:
        mark(marks, "costly")
        await asyncio.sleep(3)
        return x * x

    @env.task
    async def asks(marks: str) -> int:
        return await costly(7, marks)
"""


@pytest.fixture(scope="module")
def program(stack: Stack) -> Path:
    return stack.program("again", PROGRAM)


@pytest.fixture(scope="module")
def begun(stack: Stack, program: Path) -> dict[str, str]:
    """All first runs, begun together so that they wait together: a pipeline that fails, one that does not, caches."""
    Path(f"{stack.root}/whole.mended").touch()
    return begin(
        stack,
        program,
        one=("asks", {"marks": str(stack.root / "costly")}),
        two=("asks", {"marks": str(stack.root / "costly")}),
        kept=("kept", {"x": 9, "marks": str(stack.root / "kept")}),
        broken=("pipeline", {"marks": str(stack.root / "broken")}),
        whole=("pipeline", {"marks": str(stack.root / "whole")}),
    )


def rerun(stack: Stack, name: str, *words: str) -> str:
    found = re.search(r"/runs/([a-z0-9-]+)", stack.flyte("rerun", name, *words).stdout)
    assert found
    return found.group(1)


def relation(stack: Stack, name: str) -> tuple[str, str]:
    """To which run it is related, and how."""
    told = details(stack, name)["metadata"]["relation"]
    return told["relatedTo"]["name"], told["relationType"]


def marks(stack: Stack, of: str) -> list[str]:
    return (stack.root / of).read_text().split()


def test_of_two_runs_that_ask_at_once_for_a_serialized_result_one_computes_it(
    stack: Stack, begun: dict[str, str]
) -> None:
    assert all("49" in finish(stack, begun[run]) for run in ("one", "two"))

    assert marks(stack, "costly") == ["costly"]
    statuses = {the_child(stack, begun[run], "costly")["status"]["cacheStatus"] for run in ("one", "two")}
    assert statuses == {"CACHE_POPULATED", "CACHE_HIT"}


def test_a_cached_root_is_answered_without_running(stack: Stack, program: Path, begun: dict[str, str]) -> None:
    finish(stack, begun["kept"])

    again = begin(stack, program, kept=("kept", {"x": 9, "marks": str(stack.root / "kept")}))["kept"]

    assert "81" in finish(stack, again)
    assert details(stack, again)["status"]["cacheStatus"] == "CACHE_HIT"
    assert marks(stack, "kept") == ["kept"]


def test_a_rerun_runs_everything_again_and_says_of_what_it_is_one(stack: Stack, begun: dict[str, str]) -> None:
    finish(stack, begun["whole"])
    before = marks(stack, "whole")

    again = rerun(stack, begun["whole"])

    assert "112" in finish(stack, again)
    assert marks(stack, "whole") == before * 2
    assert relation(stack, again) == (begun["whole"], "RELATION_TYPE_RERUN")


def test_recovering_a_failed_run_runs_also_again_what_is_forced_to(stack: Stack, begun: dict[str, str]) -> None:
    finish(stack, begun["broken"], phase="FAILED")
    Path(f"{stack.root}/broken.mended").touch()
    forced = the_child(stack, begun["broken"], "step")["id"]["name"]

    again = rerun(stack, begun["broken"], "--recover", "--force-rerun-action", forced)

    assert "112" in finish(stack, again)
    assert marks(stack, "broken") == ["pipeline", "step", "other", "pipeline", "step", "mended"]
    assert relation(stack, again) == (begun["broken"], "RELATION_TYPE_RECOVER")
    assert outcome(stack, again) == {"step": "SUCCEEDED", "other": "RECOVERED", "breaks": "SUCCEEDED"}


def test_recovering_a_run_that_succeeded_runs_its_root_and_what_is_forced_to_run(
    stack: Stack, begun: dict[str, str]
) -> None:
    finish(stack, begun["whole"])
    before = marks(stack, "whole")
    forced = the_child(stack, begun["whole"], "step")["id"]["name"]

    again = rerun(stack, begun["whole"], "--recover", "--force-rerun-action", forced)

    assert "112" in finish(stack, again)
    assert marks(stack, "whole") == [*before, "pipeline", "step"]
    assert attempts(stack, again) == ["SUCCEEDED"]
    assert outcome(stack, again) == {"step": "SUCCEEDED", "other": "RECOVERED", "breaks": "RECOVERED"}


def outcome(stack: Stack, name: str) -> dict[str, str]:
    """Phase of each child, by its task."""
    return {task: phase_of(a) for task in ("step", "other", "breaks") for a in children(stack, name, task)}
