"""What stays, what is forgotten, and whose files are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from signalbox.up.flyte_config import HEADER, FlyteConfig, content
from signalbox.up.places import Places
from signalbox.up.postgres import embedded
from support.checkout import Checkout


def reset(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    program = "import sys; from signalbox.up import command; sys.exit(command.reset())"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=checkout.root, capture_output=True, text=True, check=False
    )


def test_reset_is_refused_while_up_runs_and_stops_nothing(checkout: Checkout) -> None:
    process = checkout.up("--service")

    refused = reset(checkout)

    assert refused.returncode == 5
    assert f"process {process.pid}" in refused.stderr
    assert process.poll() is None
    assert checkout.end(process)[0] == 0


def test_reset_forgets_the_state_and_keeps_the_environments(checkout: Checkout) -> None:
    process = checkout.up("--service")
    assert checkout.end(process)[0] == 0
    cache = checkout.root / ".flyte" / "local-cache"
    cache.mkdir()

    assert reset(checkout).returncode == 0

    assert sorted(path.name for path in checkout.state.iterdir()) == ["flyte", "up.lock"]
    assert not (checkout.root / ".flyte").exists()
    again = checkout.up("--service")
    assert checkout.end(again)[0] == 0
    assert "migrated 1 times" in (checkout.state / "logs" / "migrate.log").read_text()


def test_a_database_keeps_the_version_of_postgresql_that_it_was_made_with(checkout: Checkout) -> None:
    def version() -> str:
        with psycopg.connect(embedded(Places(checkout.root)).url) as connection:
            return str(connection.info.server_version // 10_000)

    first = checkout.start("--service", SIGNALBOX_POSTGRES_VERSION="16")
    assert first.stdout is not None
    assert first.stdout.readline(), checkout.said()
    assert version() == "16"
    assert checkout.end(first)[0] == 0

    again = checkout.up("--service")

    assert version() == "16"
    assert checkout.end(again)[0] == 0


def test_a_version_of_postgresql_that_is_not_there_is_refused(checkout: Checkout) -> None:
    refused = checkout.start("--service", SIGNALBOX_POSTGRES_VERSION="9")

    assert refused.wait(20) == 2
    assert "PostgreSQL 9: the embedded one is 16 or 18" in checkout.said()


def test_a_new_database_makes_the_sdk_forget_its_uploads(checkout: Checkout) -> None:
    cache = checkout.root / ".flyte" / "local-cache"
    cache.mkdir(parents=True)

    process = checkout.up("--service")
    assert not cache.exists()
    cache.mkdir()
    assert checkout.end(process)[0] == 0
    assert checkout.end(checkout.up("--service"))[0] == 0

    assert cache.exists()  # the second start found its database


def test_a_deep_folder_does_not_break_the_database(tmp_path: Path, checkout: Checkout) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 5)
    deep.mkdir(parents=True)
    checkout.state.rename(deep / ".signalbox")
    (checkout.root / "bin").rename(deep / "bin")
    checkout.root = deep

    process = checkout.up("--service")

    assert checkout.end(process)[0] == 0
    assert checkout.running() == {}


def test_the_database_is_open_to_its_user_alone(checkout: Checkout) -> None:
    process = checkout.up("--service")

    data = checkout.state / "postgres"
    listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=True).stdout
    pids = [
        pid for pid, command in checkout.running().items() if "/bin/postgres -D" in command and "guard" not in command
    ]
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in pids}  # noqa: PTH116  # who a process belongs to
    assert checkout.end(process)[0] == 0

    assert data.stat().st_mode & 0o077 == 0
    assert len(pids) == 1
    assert owners == {data.stat().st_uid}
    assert owners != {0}
    assert f"pid={pids[0]}," not in listening


@pytest.fixture
def config(tmp_path: Path) -> FlyteConfig:
    return FlyteConfig(tmp_path / ".flyte" / "config.yaml")


def test_our_configuration_follows_the_port(config: FlyteConfig, tmp_path: Path) -> None:
    config.write(port=8090, fallback=tmp_path / "other.yaml")
    path, note = config.write(port=9090, fallback=tmp_path / "other.yaml")

    assert (path, note) == (config.path, None)
    assert "endpoint: dns:///localhost:9090" in config.path.read_text()


@pytest.mark.parametrize("place", ["config.yaml", ".flyte/config.yaml"])
def test_a_file_of_the_user_is_left_alone_and_the_way_around_is_said(
    config: FlyteConfig, tmp_path: Path, place: str
) -> None:
    theirs = tmp_path / place
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("admin:\n  endpoint: dns:///flyte.example.com\n")

    path, note = config.write(port=8090, fallback=tmp_path / "sdk" / "config.yaml")
    config.forget()

    assert theirs.read_text() == "admin:\n  endpoint: dns:///flyte.example.com\n"
    assert path.read_text() == content(8090)
    assert note is not None
    assert f"flyte --config {path}" in note
    assert str(theirs) in note


def test_a_file_of_the_user_that_leads_here_is_used(config: FlyteConfig, tmp_path: Path) -> None:
    config.path.parent.mkdir()
    config.path.write_text(content(8090).removeprefix(HEADER))

    assert config.write(port=8090, fallback=tmp_path / "other.yaml") == (config.path, None)
    assert not (tmp_path / "other.yaml").exists()
