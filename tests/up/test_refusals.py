"""What keeps a start from succeeding is one clear sentence, a stable exit code, and nothing left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from signalbox.errors import Invalid
from signalbox.up.ports import Ports, owner_of
from support.checkout import Checkout


@pytest.mark.parametrize("offset", [0, 1])
def test_a_taken_port_is_named_with_its_owner_and_a_way_out(checkout: Checkout, offset: int) -> None:
    with socket.create_server(("127.0.0.1", checkout.port + offset)):
        process = checkout.start("--service")
        assert process.wait(20) == 5

    said = checkout.said()
    assert f"port {checkout.port + offset} for the {'data plane' if offset else 'API'} is taken by" in said
    assert f"(process {os.getpid()})" in said
    assert "make up PORT=" in said
    assert checkout.running() == {}


def test_a_second_start_in_the_same_checkout_is_refused(checkout: Checkout) -> None:
    first = checkout.up("--service")

    second = checkout.start("--service")

    assert second.wait(20) == 5
    assert f"already runs in this checkout: process {first.pid} since" in checkout.said()
    assert first.poll() is None
    assert checkout.end(first)[0] == 0


@pytest.mark.parametrize("name", ["signalbox-dataplane", "signalbox-emulator", "signalbox-evidence"])
def test_a_missing_command_is_named_before_anything_starts(checkout: Checkout, name: str) -> None:
    (checkout.root / "bin" / name).rename(checkout.root / "bin" / f"{name}-elsewhere")
    # the workspace's own command must not stand in
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / name).exists())

    process = checkout.start(path=path)

    assert process.wait(20) == 6
    assert f"`{name}` is not installed here" in checkout.said()
    assert not (checkout.state / "postgres").exists()


def test_a_missing_sdk_environment_is_named(checkout: Checkout) -> None:
    (checkout.state / "flyte" / "bin" / "flyte").unlink()

    assert checkout.start("--service").wait(20) == 6
    assert "the SDK's environment is missing" in checkout.said()


def test_a_state_folder_that_cannot_be_written_is_named(checkout: Checkout) -> None:
    (checkout.state / "logs").write_text("a file where a folder should be")

    assert checkout.start("--service").wait(20) == 6
    assert f"{checkout.state}: cannot be written" in checkout.said()


def test_a_database_that_was_never_finished_is_made_again(checkout: Checkout) -> None:
    unfinished = checkout.state / "postgres.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")

    process = checkout.up("--service")

    assert "removed a database that was never finished" in checkout.said()
    assert not unfinished.exists()
    assert checkout.end(process)[0] == 0


def test_a_database_url_that_leads_nowhere_ends_the_start(checkout: Checkout) -> None:
    process = checkout.start("--service", SIGNALBOX_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert process.wait(30) == 7
    assert "migrate: ended with exit code 1" in checkout.said()
    assert "connection to server at" in checkout.said()  # the last lines of its log
    assert not (checkout.state / "postgres").exists()
    assert checkout.running() == {}


@pytest.mark.parametrize("port", [0, 80, 65535, 70000])
def test_ports_without_room_are_refused(port: int) -> None:
    with pytest.raises(Invalid, match="PORT: 1024 to 65534"):
        Ports(port)


def test_the_console_has_a_port_of_its_own_only_beside_the_default() -> None:
    assert (Ports().console, Ports(9090).console) == (8080, 9090)


def test_a_free_port_has_no_owner() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert owner_of(unused.getsockname()[1]) is None
