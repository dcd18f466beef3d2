"""`signalbox health` against real processes: what a container's health check would see."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.checkout import free_port, until

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}


def health(*words: str, **variables: str) -> tuple[int, str]:
    """Exit code, and what it says."""
    command = [sys.executable, "-m", "signalbox", "health", *words]
    done = subprocess.run(command, env=PLAIN | variables, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def running(process: str, **variables: str) -> Generator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "signalbox", process], env=PLAIN | variables, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGCONT)
        started.terminate()
        started.wait(20)


@pytest.mark.parametrize("tls", ["off", "self-signed"])
def test_serve_is_well_while_it_answers(database_url: str, tls: str) -> None:
    variables = {
        "SIGNALBOX_DATABASE_URL": database_url,
        "SIGNALBOX_LISTEN": f"127.0.0.1:{free_port()}",
        "SIGNALBOX_AUTH": "development",
        "SIGNALBOX_TLS": tls,
    }
    assert health(**variables)[0] == 1
    with running("serve", **variables) as process:
        until(lambda: health(**variables)[0] == 0, within=20, what=lambda: health(**variables)[1])
        assert json.loads(health("-o", "json", **variables)[1]) == {"healthy": True, "reason": None}
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        code, said = health(**variables)
        assert (code, "no answer within 3 s" in said) == (1, True), said
        assert time.monotonic() - began < 6


def test_only_its_own_self_signed_certificate_is_taken(database_url: str) -> None:
    variables = {
        "SIGNALBOX_DATABASE_URL": database_url,
        "SIGNALBOX_LISTEN": f"127.0.0.1:{free_port()}",
        "SIGNALBOX_AUTH": "development",
        "SIGNALBOX_TLS": "self-signed",
    }
    with running("serve", **variables):
        until(lambda: health(**variables)[0] == 0, within=20, what=lambda: health(**variables)[1])
        code, said = health("--url", f"https://{variables['SIGNALBOX_LISTEN']}/healthz")

    assert (code, "certificate verify failed" in said) == (1, True), said


def test_an_answer_other_than_200_is_not_well(database_url: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    variables = {
        "SIGNALBOX_DATABASE_URL": database_url,
        "SIGNALBOX_LISTEN": address,
        "SIGNALBOX_AUTH": "development",
    }
    with running("serve", **variables):
        until(lambda: health(**variables)[0] == 0, within=20, what=lambda: health(**variables)[1])

        assert health("--url", f"http://{address}/nothing") == (1, "it answers 404\n")


def test_something_that_is_no_http_is_not_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "signalbox", "health", "--url", f"http://127.0.0.1:{port}/"]
        process = subprocess.Popen(command, env=PLAIN, stdout=subprocess.PIPE, text=True)
        connection, _ = listening.accept()
        connection.sendall(b"nonsense\r\n\r\n")
        said, _ = process.communicate(timeout=20)
        connection.close()

    assert (process.returncode, "no HTTP answer" in said) == (1, True), said


def test_a_reconciler_is_well_while_its_rounds_go_on(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    variables = {"SIGNALBOX_DATABASE_URL": database_url, "SIGNALBOX_HEARTBEAT_FILE": str(file)}
    code, said = health("reconcile", **variables)
    assert (code, "has not finished a round yet" in said) == (1, True), said
    with running("reconcile", **variables) as process:
        until(lambda: health("reconcile", **variables)[0] == 0, within=20, what=lambda: "the first round")
        process.send_signal(signal.SIGSTOP)
        os.utime(file, (time.time() - 120, time.time() - 120))
        code, said = health("reconcile", **variables)
        assert (code, "its last round 12" in said) == (1, True), said
        process.send_signal(signal.SIGCONT)
        until(lambda: health("reconcile", **variables)[0] == 0, within=10, what=lambda: "the next round")


def test_a_reconciler_without_its_database_is_alive(tmp_path: Path) -> None:
    variables = {
        "SIGNALBOX_DATABASE_URL": "postgresql://127.0.0.1:1/nowhere",
        "SIGNALBOX_HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
    }
    with running("reconcile", **variables):
        until(lambda: health("reconcile", **variables)[0] == 0, within=30, what=lambda: "a round that failed")


def test_without_a_file_there_is_nothing_to_look_at() -> None:
    code, said = health("reconcile")

    assert (code, "SIGNALBOX_HEARTBEAT_FILE is not set" in said) == (1, True), said
