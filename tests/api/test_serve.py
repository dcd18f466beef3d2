"""The commands of the service as processes: what they answer, what they refuse, and how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from signalbox.store.migrate import migrate
from support.checkout import free_port, until
from support.database import Server


@contextmanager
def signalbox(*words: str, **settings: str) -> Generator[subprocess.Popen[str]]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    variables = {f"SIGNALBOX_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "signalbox", *words],
        env=plain | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, verify=False).status_code == 200  # noqa: S501  # its own certificate
    except httpx.TransportError:
        return False


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.parametrize(("tls", "scheme"), [("off", "http"), ("self-signed", "https")])
def test_the_service_answers_and_ends_with_success_when_it_is_told_to(database_url: str, tls: str, scheme: str) -> None:
    port = free_port()
    with signalbox(
        "serve", database_url=database_url, listen=f"127.0.0.1:{port}", auth="development", tls=tls
    ) as process:
        until(lambda: answers(f"{scheme}://127.0.0.1:{port}/readyz"), within=20, what=lambda: "ready")
        other = "http" if scheme == "https" else "https"
        assert not answers(f"{other}://127.0.0.1:{port}/healthz")

        process.send_signal(signal.SIGTERM)

        assert ended(process)[0] == 0


def test_a_service_without_its_database_lives_and_is_not_ready() -> None:
    port = free_port()
    nowhere = "postgresql://127.0.0.1:1/nowhere?connect_timeout=1"
    with signalbox("serve", database_url=nowhere, listen=f"127.0.0.1:{port}", auth="development"):
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), within=20, what=lambda: "alive")

        ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)

    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "reason": "the database does not answer"}


def test_a_service_is_not_ready_before_its_schema_is_of_its_version(postgres: Server) -> None:
    port = free_port()
    listen = f"127.0.0.1:{port}"
    with (
        postgres.database(migrated=False) as url,
        signalbox("serve", database_url=url, listen=listen, auth="development"),
    ):
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), within=20, what=lambda: "alive")
        before = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)

        migrate(url)

        after = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)

    assert (before.status_code, after.status_code) == (503, 200)
    assert "schema" in before.json()["reason"]


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"listen": "0.0.0.0:8443", "auth": "development"}, 2, "not a loopback address"),
        ({"listen": "127.0.0.1:8443"}, 2, "SIGNALBOX_AUTH: not set"),
        ({"listen": "8443", "auth": "development"}, 2, "host:port, got '8443'"),
        ({"auth": "nobody"}, 2, "SIGNALBOX_AUTH"),
        ({"lease_ttl": "PT1S", "auth": "development"}, 2, "fence_after must be shorter than lease_ttl"),
        ({"tls": "files", "auth": "development"}, 2, "needs tls_certificate_file"),
    ],
)
def test_settings_that_cannot_be_right_end_it_with_2_and_a_sentence(
    settings: dict[str, str], code: int, said: str
) -> None:
    with signalbox("serve", **settings) as process:
        returned, stderr = ended(process)

    assert returned == code
    assert said in stderr
    assert "Traceback" not in stderr


def test_a_taken_port_ends_it_with_5_and_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with signalbox("serve", listen=address, auth="development") as process:
            returned, stderr = ended(process)

    assert returned == 5
    assert f"cannot listen on {address}" in stderr


def test_the_reconciler_ends_with_success_when_it_is_told_to(database_url: str, tmp_path: Path) -> None:
    heartbeat = tmp_path / "heartbeat"
    with signalbox("reconcile", database_url=database_url, heartbeat_file=str(heartbeat)) as process:
        until(heartbeat.exists, within=30, what=lambda: "the first round")

        process.send_signal(signal.SIGTERM)

        assert ended(process)[0] == 0


def test_a_join_token_is_told_in_json(database_url: str) -> None:
    with signalbox("cluster", "create-join-token", "one", "-o", "json", database_url=database_url) as process:
        stdout, _ = process.communicate(timeout=30)

    told = json.loads(stdout)
    assert (told["org"], told["cluster"]) == ("local", "one")
    assert told["token"].startswith("sbj_")


def test_a_bad_name_for_a_cluster_ends_with_2(database_url: str) -> None:
    with signalbox("cluster", "create-join-token", "a/b", database_url=database_url) as process:
        returned, stderr = ended(process)

    assert returned == 2
    assert "name: letters, digits" in stderr
