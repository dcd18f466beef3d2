"""Bounds that a program sets: time in the queue, a deadline over all attempts, conditions with one, and queues."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from support.checkout import until
from support.runs import at_once, attempts, begin, children, details, finish, phase_of, start, the_child
from support.stack import SLOTS, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
    import asyncio
    from datetime import timedelta
    from pathlib import Path

    import flyte
    import flyte.errors
    from flyte.extras import Sleep

    env = flyte.TaskEnvironment(name="bounds")
    narrow = flyte.TaskEnvironment(name="narrow", queue="narrow", plugin_config=Sleep())
    nowhere = flyte.TaskEnvironment(name="nowhere", queue="nowhere", plugin_config=Sleep())

    @env.task
    async def hog(number: int, marks: str) -> None:
        Path(marks, str(number)).touch()
        await asyncio.sleep(100)

    @env.task(timeout=flyte.Timeout(max_queued_time=timedelta(seconds=3)))
    async def hurried() -> int:
        return 1

    @env.task
    async def crowd(hogs: int, marks: str) -> str:
        crowding = [asyncio.create_task(hog(number, marks)) for number in range(hogs)]
        while len(list(Path(marks).iterdir())) < hogs:
            await asyncio.sleep(0.1)
        try:
            await hurried()
        except Exception as e:
            return f"caught {type(e).__name__} while {len(crowding)} ran"
        return "it ran"

    @env.task(retries=5, timeout=flyte.Timeout(deadline=timedelta(seconds=8)))
    async def late(mark: str) -> int:
        if not Path(mark).exists():
            Path(mark).touch()
            raise ValueError("once more")
        await asyncio.sleep(100)
        return 1

    @env.task
    async def unanswered() -> str:
        asked = await flyte.new_condition.aio("soon", prompt="now?", data_type=bool, timeout=timedelta(seconds=2))
        try:
            return f"answered {await asked.wait.aio()}"
        except flyte.errors.ConditionTimedoutError:
            return "nobody answered"

    @env.task
    async def questions() -> str:
        many = await flyte.new_condition.aio("how-many", prompt="how many?", data_type=int)
        who = await flyte.new_condition.aio("for-whom", prompt="for whom?", data_type=str)
        return f"{await many.wait.aio() + 1} for {await who.wait.aio()}"

    @narrow.task
    async def one_by_one(length: timedelta) -> None:
        pass

    @nowhere.task
    async def lost(length: timedelta) -> None:
        pass

    @env.task
    async def queued(n: int) -> int:
        await asyncio.gather(*(one_by_one(timedelta(milliseconds=200 + i)) for i in range(n)))
        return n

    @env.task
    async def misled() -> str:
        try:
            await lost(timedelta(seconds=1))
        except Exception as e:
            return str(e)
        return "it ran"
"""


@pytest.fixture(scope="module")
def program(stack: Stack) -> Path:
    return stack.program("bounds", PROGRAM)


@pytest.fixture(scope="module")
def begun(stack: Stack, program: Path) -> dict[str, str]:
    """Runs that need nobody's hand, begun together so that they wait together."""
    stack.signalbox("queue", "configure", "narrow", "--max-actions", "1")
    return begin(
        stack,
        program,
        late=("late", {"mark": str(stack.root / "late")}),
        unanswered=("unanswered", {}),
        queued=("queued", {"n": 4}),
        misled=("misled", {}),
    )


def test_a_deadline_ends_an_action_whatever_retries_are_left(stack: Stack, begun: dict[str, str]) -> None:
    finish(stack, begun["late"], phase="TIMED_OUT")

    assert attempts(stack, begun["late"]) == ["FAILED", "TIMED_OUT"]
    status = details(stack, begun["late"])["status"]
    took = seconds(status["endTime"]) - seconds(details(stack, begun["late"])["attempts"][0]["startTime"])
    assert 5 <= took <= 12, "the deadline of 8 s counts from when the action was queued"


def test_a_condition_that_nobody_answers_in_time_times_out_and_the_task_can_catch_that(
    stack: Stack, begun: dict[str, str]
) -> None:
    assert "nobody answered" in finish(stack, begun["unanswered"])

    (condition,) = [a for a in stack.actions(begun["unanswered"]) if a["id"]["name"] != "a0"]
    assert phase_of(condition) == "TIMED_OUT"


def test_a_configured_queue_holds_its_limit(stack: Stack, begun: dict[str, str]) -> None:
    assert "4" in finish(stack, begun["queued"])

    assert at_once(stack, begun["queued"], "one_by_one") == 1


def test_a_place_that_becomes_free_in_a_queue_is_taken_at_once(stack: Stack, begun: dict[str, str]) -> None:
    finish(stack, begun["queued"])

    found = [details(stack, begun["queued"], a["id"]["name"]) for a in children(stack, begun["queued"], "one_by_one")]
    times = sorted((seconds(d["attempts"][0]["startTime"]), seconds(d["attempts"][0]["endTime"])) for d in found)
    pauses = [start - end for (_, end), (start, _) in pairwise(times)]
    assert max(pauses) < 2, pauses


def test_a_queue_that_nobody_configured_is_refused_to_tasks_and_to_runs(
    stack: Stack, program: Path, begun: dict[str, str]
) -> None:
    assert "nowhere" in finish(stack, begun["misled"])

    refused = stack.flyte("run", "--queue", "nowhere", str(program), "unanswered", check=False)
    assert refused.returncode != 0
    assert "nowhere" in refused.stdout + refused.stderr


def test_conditions_take_numbers_and_words_from_the_cli(stack: Stack, program: Path) -> None:
    name = start(stack, program, "questions")
    answers = {"how-many": "41", "for-whom": "Ada Lovelace"}

    def asked() -> dict[str, str]:
        paused = [a for a in stack.actions(name) if phase_of(a) == "PAUSED"]
        return {a["metadata"]["condition"]["name"]: a["id"]["name"] for a in paused}

    until(lambda: asked().keys() == answers.keys(), within=60, what=lambda: str(stack.actions(name)))
    for question, action in asked().items():
        stack.flyte("signal", "condition", name, action, answers[question])

    assert "42 for Ada Lovelace" in finish(stack, name)


def test_what_waits_too_long_behind_a_full_data_plane_times_out(stack: Stack, program: Path) -> None:
    marks = stack.root / "hogs"
    marks.mkdir()
    name = begin(stack, program, crowd=("crowd", {"hogs": SLOTS, "marks": str(marks)}))["crowd"]

    assert f"caught TaskTimeoutError while {SLOTS} ran" in finish(stack, name)
    child = the_child(stack, name, "hurried")
    assert phase_of(child) == "TIMED_OUT"
    assert re.search("queue", str(details(stack, name, child["id"]["name"])["errorInfo"]))
    until(lambda: not stack.pids(f"--run-name {name}"), within=15, what=lambda: str(stack.pids(name)))


def seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
