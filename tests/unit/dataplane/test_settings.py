from __future__ import annotations

from pathlib import Path

import pytest

from signalbox_dataplane.errors import Exit
from signalbox_dataplane.settings import PREFIX, Settings, load


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {"CONTROL_PLANE": "http://localhost:8090", "STATE_DIR": str(tmp_path), "STORAGE": "file:///store/"}
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(PREFIX + name, value)


def test_three_settings_are_enough() -> None:
    settings = load()

    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 8091)
    assert (settings.storage, settings.capacity, settings.token()) == ("file:///store", 5000, None)
    assert settings.max_processes >= 2


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("CONTROL_PLANE", "", "CONTROL_PLANE: not set"),
        ("CONTROL_PLANE", "localhost:8090", "got 'localhost:8090', wanted an http:// or https:// URL"),
        ("STORAGE", "/store", "got '/store', wanted file:///absolute/directory or s3://bucket/prefix"),
        ("STORAGE", "file://relative/x", "wanted file:///absolute/directory"),
        ("STORAGE", "file:///a/../b", "wanted file:///absolute/directory"),
        ("STORAGE", "s3://", "wanted file:///absolute/directory or s3://bucket/prefix"),
        ("LISTEN", "0.0.0.0:8091", "does not authenticate its callers"),
        ("LISTEN", "10.1.2.3:8091", "wanted a loopback address"),
        ("LISTEN", "localhost", "wanted address:port"),
        ("LISTEN", "127.0.0.1:99999", "wanted address:port"),
        ("STATE_DIR", "relative", "got 'relative', wanted an absolute path"),
        ("RUNTIME_BIN", "/nowhere/bin", "got '/nowhere/bin', wanted an existing directory"),
        ("MAX_PROCESSES", "0", "greater than or equal to 1"),
        ("CAPACITY", "many", "got 'many'"),
    ],
)
def test_a_bad_setting_is_named_with_what_was_got_and_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(Exit) as caught:
        load()

    assert caught.value.code == 2
    assert PREFIX + name in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "localhost:8091", "[::1]:8091", "127.1.2.3:8091"])
def test_loopback_addresses_are_taken(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    monkeypatch.setenv(PREFIX + "LISTEN", listen)

    assert load().listen == listen


def test_the_join_token_comes_from_one_place_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv(PREFIX + "JOIN_TOKEN_FILE", str(file))
    assert load().token() is None
    file.write_text("from-file\n")
    assert load().token() == "from-file"

    monkeypatch.setenv(PREFIX + "JOIN_TOKEN", "top-secret")
    with pytest.raises(Exit) as caught:
        load()
    assert "both set" in str(caught.value)
    assert "top-secret" not in str(caught.value)
