"""A service that is rolled out under load, and one that stands still for a while: no call fails, no watch is cut."""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.checkout import free_port, until
from support.replicas import another_replica, balancer, is_ready
from support.stack import Stack, run_name, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

PROGRAM = """
    import asyncio
    from datetime import timedelta

    import flyte
    from flyte.extras import Sleep

    env = flyte.TaskEnvironment(name="load")
    sleeping = flyte.TaskEnvironment(name="sleeping", plugin_config=Sleep())

    @sleeping.task
    async def leaf(length: timedelta) -> None:
        pass

    @env.task
    async def main(n: int, marks: str) -> int:
        with open(marks, "a") as file:
            file.write("x")
        for at in range(n):
            await asyncio.gather(*(leaf(timedelta(milliseconds=200 + 10 * at + i)) for i in range(10)))
        return n
"""

USER = """
    import sys
    import time

    import flyte
    import flyte.remote

    flyte.init_from_config(sys.argv[1])
    end = time.monotonic() + float(sys.argv[3])
    calls = 0
    while time.monotonic() < end:
        assert flyte.remote.Run.get(sys.argv[2]).name == sys.argv[2]
        calls += 1
        time.sleep(0.05)
    print("calls", calls)
"""


@pytest.fixture(scope="module")
def front() -> int:
    """The port at which clients and task processes see the service."""
    return free_port()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, front: int) -> Generator[Stack]:
    """One for both tests: nothing is killed here that does not come back."""
    with running(
        tmp_path_factory.mktemp("rolling"), SIGNALBOX_DATAPLANE_TASK_CONTROL_PLANE=f"http://127.0.0.1:{front}"
    ) as started:
        yield started


def watch(port: int, action: dict[str, object], ends: list[str], *, over: threading.Event) -> None:
    """Note how watches of an action end, opened one after the other as the SDK does: `clean`, or an error's code."""
    message = json.dumps({"actionId": action}).encode()
    headers = {"content-type": "application/connect+json", "connect-protocol-version": "1", "accept-encoding": ""}
    while not over.is_set():
        url = f"http://127.0.0.1:{port}/flyteidl2.workflow.RunService/WatchActionDetails"
        content = struct.pack(">BI", 0, len(message)) + message
        try:
            told = httpx.post(url, content=content, headers=headers, timeout=60).content
        except httpx.TransportError as e:
            ends.append(type(e).__name__)
            continue
        while told[0] != 2:  # the envelope that ends a stream
            told = told[5 + struct.unpack(">BI", told[:5])[1] :]
        ends.append(json.loads(told[5:]).get("error", {}).get("code", "clean"))


def test_a_rolling_restart_under_load_fails_no_call_and_cancels_no_watch(stack: Stack, front: int) -> None:
    program, user = stack.program("load", PROGRAM), stack.program("user", USER)
    marks = stack.root / "marks"
    config = stack.root / "front.yaml"
    config.write_text((stack.root / ".flyte" / "config.yaml").read_text().replace(f":{stack.port}", f":{front}"))
    over = threading.Event()
    ends: list[str] = []

    def begin() -> str:
        words = ("run", str(program), "main", "--n", "40", "--marks", str(marks))
        return run_name(stack.flyte("--config", str(config), *words).stdout)

    with another_replica(stack) as second, balancer(front, (stack.port, second.port)), ThreadPoolExecutor() as pool:
        first = begin()
        until(lambda: len(stack.actions(first)) > 10, within=30, what=lambda: stack.phase(first))
        watching = pool.submit(watch, front, {"run": stack.run_id(first), "name": "a0"}, ends, over=over)
        calling = pool.submit(stack.python, user, str(config), first, "10")
        time.sleep(2)

        (own,) = stack.pids("signalbox serve")
        os.kill(own, signal.SIGTERM)
        during = pool.submit(begin)
        until(lambda: own not in stack.pids("signalbox serve") and is_ready(stack.port), within=20, what=lambda: "back")
        second.restart()
        assert (stack.phase(first), set(ends)) == ("RUNNING", {"clean"}), "the restarts ended watches of a live run"

        names = [first, during.result()]
        assert int(calling.result().split()[-1]) > 20
        for name in names:
            assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", within=60) == "SUCCEEDED"
            assert len(stack.actions(name)) == 401
        over.set()
        watching.result()
    assert marks.read_text() == "xx", "no attempt was lost"
    assert set(ends) == {"clean"}, ends


def test_a_service_that_stands_still_for_some_seconds_goes_on_as_if_nothing_had_been(stack: Stack, front: int) -> None:
    marks = stack.root / "marks-of-the-pause"
    with balancer(front, (stack.port,)):
        words = ("run", str(stack.program("load", PROGRAM)), "main", "--n", "12", "--marks", str(marks))
        name = run_name(stack.flyte(*words).stdout)
        until(lambda: len(stack.actions(name)) > 10, within=30, what=lambda: stack.phase(name))
        (service,) = stack.pids("signalbox serve")

        os.kill(service, signal.SIGSTOP)
        time.sleep(7)  # longer than the SDK waits for the answer to an Enqueue
        os.kill(service, signal.SIGCONT)

        assert stack.until_phase(name, "SUCCEEDED", "FAILED", "ABORTED", within=60) == "SUCCEEDED"
        phases = [a["status"]["phase"] for a in stack.actions(name)]
    assert phases == ["ACTION_PHASE_SUCCEEDED"] * 121
    assert marks.read_text() == "x", "no attempt was lost"
