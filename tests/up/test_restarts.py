"""A program that ends by itself is started again; one that always ends, ends the whole, with the reason."""

from __future__ import annotations

import os
import signal

from support.checkout import Checkout, until


def test_a_program_that_dies_is_started_again_and_says_so(checkout: Checkout) -> None:
    process = checkout.up("--service")
    [first] = checkout.pids("serve")

    os.kill(first, signal.SIGKILL)

    until(lambda: len(checkout.pids("serve")) == 2, within=10, what=lambda: "a second start")
    assert "serve       ended unexpectedly with exit code 137; starting it again in 0.2 s" in checkout.said()
    assert str(checkout.state / "logs" / "serve.log") in checkout.said()
    assert checkout.end(process)[0] == 0
    assert len(checkout.pids("serve")) == 2


def test_what_a_dead_program_left_is_gone_before_it_starts_again(checkout: Checkout) -> None:
    process = checkout.up("--service")
    task = int((checkout.root / "task-pid").read_text())
    [dataplane] = checkout.programs("signalbox-dataplane serve")

    os.kill(dataplane, signal.SIGKILL)

    until(lambda: int((checkout.root / "task-pid").read_text()) != task, within=10, what=lambda: "a second data plane")
    assert task not in checkout.running()
    assert checkout.end(process)[0] == 0


def test_a_crash_loop_ends_with_the_last_lines(checkout: Checkout) -> None:
    process = checkout.up("--service")
    checkout.flag("crash-reconcile")

    os.kill(checkout.pids("reconcile")[0], signal.SIGKILL)

    assert process.wait(40) == 7
    assert "reconcile: ended 6 times within 60 s" in checkout.said()
    assert "| reconcile: crashed on purpose" in checkout.said()
    assert checkout.running() == {}


def test_a_service_that_never_becomes_ready_ends_the_start_at_once(checkout: Checkout) -> None:
    checkout.flag("crash-serve")

    assert checkout.start("--service").wait(20) == 7

    assert "serve: ended with exit code 1 before it was ready" in checkout.said()
    assert len(checkout.pids("serve")) == 1
    assert checkout.running() == {}


def test_a_failed_deployment_leaves_the_service_running(checkout: Checkout) -> None:
    checkout.flag("crash-deploy")
    process = checkout.up()

    checkout.until_said("failed; the service is not touched by it")

    assert process.poll() is None
    assert checkout.end(process)[0] == 0
