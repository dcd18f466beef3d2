"""One command starts all, one Ctrl-C stops all: in order, in time, with nothing left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from support.checkout import Checkout, until


def test_everything_starts_and_a_second_start_keeps_the_state(checkout: Checkout) -> None:
    first = checkout.start("--json")
    assert first.stdout is not None
    facts = json.loads(first.stdout.readline())
    checkout.until_said("live: 10 of 12 controls satisfied, 2 not assessed")
    assert checkout.end(first)[0] == 0
    second = checkout.up("--service")
    assert checkout.end(second)[0] == 0

    assert facts["API"] == f"http://localhost:{checkout.port}"
    assert facts["next"] == ".signalbox/flyte/bin/flyte run examples/hello.py main --n 20"
    assert "migrated 2 times" in (checkout.state / "logs" / "migrate.log").read_text()
    assert checkout.said().count("2 not assessed") == 1  # --service leaves the deployment out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_within_ten_seconds(checkout: Checkout, number: signal.Signals) -> None:
    checkout.flag("slow-deploy")
    process = checkout.up()
    checkout.until_said("stack 1 of 2")
    assert len(checkout.running()) >= 10  # five programs with a guard each, and what they started

    code, seconds = checkout.end(process, number)

    assert code == 0
    assert seconds < 10
    assert checkout.running() == {}
    order = [line.split("stop")[1] for line in checkout.said().splitlines() if "  stop  " in line][1:]
    assert ["data plane" in order[0], "serve" in order[1], "database" in order[2]] == [True, True, True]


def test_what_is_deaf_to_the_signal_is_killed_within_ten_seconds(checkout: Checkout) -> None:
    checkout.flag("stubborn-dataplane")
    process = checkout.up("--service")

    code, seconds = checkout.end(process)

    assert (code, checkout.running()) == (0, {})
    assert 2 < seconds < 10


def test_a_second_ctrl_c_does_not_wait(checkout: Checkout) -> None:
    checkout.flag("stubborn-dataplane")
    process = checkout.up("--service")

    process.send_signal(signal.SIGINT)
    checkout.until_said("stopping everything")
    code, seconds = checkout.end(process)

    assert (code, checkout.running()) == (0, {})
    assert seconds < 2


def test_a_kill_leaves_no_process_and_the_next_start_says_so(checkout: Checkout) -> None:
    checkout.flag("slow-deploy")
    process = checkout.up()
    checkout.until_said("stack 1 of 2")

    process.kill()
    process.wait()
    until(lambda: checkout.running() == {}, within=10, what=lambda: str(checkout.running()))
    again = checkout.up("--service")

    assert "the last start did not end in order" in checkout.said()
    assert checkout.end(again)[0] == 0
    assert "migrated 2 times" in (checkout.state / "logs" / "migrate.log").read_text()


def test_a_killed_guard_takes_its_program_along(checkout: Checkout) -> None:
    process = checkout.up("--service")
    guard = next(pid for pid, command in checkout.running().items() if "guard.py" in command and " serve" in command)
    [serve] = checkout.pids("serve")

    subprocess.run(["kill", "-9", str(guard)], check=True)

    until(lambda: serve not in checkout.running(), within=5, what=lambda: "serve ended")
    until(lambda: len(checkout.pids("serve")) == 2, within=5, what=lambda: "serve started again")
    assert checkout.end(process)[0] == 0


def test_once_prints_what_was_proven_and_leaves_nothing(checkout: Checkout) -> None:
    process = checkout.start("--once", "--json")
    answer, _ = process.communicate(timeout=60)

    assert process.returncode == 0, checkout.said()
    proof = json.loads(answer)
    assert proof["sample"]["result"] == 2470
    assert proof["deployment"]["report"]["counts"]["template"]["satisfied"] == 12
    assert checkout.running() == {}


@pytest.mark.parametrize(
    ("program", "text", "reason"),
    [
        ("flyte", "print('o0=2471')", "flyte run: 2470 wanted, got 2471"),
        ("flyte", "import sys; sys.exit('no such run')", "no such run"),
        ("python", "print('nothing')", "one result wanted"),
    ],
)
def test_once_fails_when_the_sample_is_wrong(checkout: Checkout, program: str, text: str, reason: str) -> None:
    path = checkout.state / "flyte" / "bin" / program
    path.write_text(f"#!{sys.executable}\n{text}\n")

    process = checkout.start("--once", "--service")
    answer, _ = process.communicate(timeout=60)

    assert (process.returncode, answer, checkout.running()) == (7, "", {})
    assert reason in checkout.said()


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"live": {"satisfied": 11, "not_satisfied": 1}}, "| ENC-01: not satisfied"),
        ({"live": {"satisfied": 0, "not_satisfied": 0}}, "the report holds no control"),
    ],
)
def test_once_fails_when_a_control_does_or_none_is_there(checkout: Checkout, counts: object, reason: str) -> None:
    (checkout.root / "report.json").write_text(json.dumps({"counts": counts}))

    process = checkout.start("--once")
    process.communicate(timeout=60)

    assert (process.returncode, checkout.running()) == (7, {})
    assert reason in checkout.said()


def test_an_interrupted_once_proves_nothing(checkout: Checkout) -> None:
    checkout.flag("slow-deploy")
    process = checkout.start("--once")
    checkout.until_said("stack 1 of 2")

    assert checkout.end(process)[0] == 130
    assert checkout.running() == {}


def test_the_token_is_in_no_log_and_on_no_command_line(checkout: Checkout) -> None:
    process = checkout.up("--service")

    commands = " ".join(checkout.running().values())
    assert checkout.end(process)[0] == 0

    kept = [path for path in checkout.state.rglob("*") if path.is_file() and b"sbx-secret" in path.read_bytes()]
    assert kept == []
    assert "sbx-secret" not in commands + checkout.said()
