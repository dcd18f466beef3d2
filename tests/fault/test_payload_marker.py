"""The rule of the two planes: what passes through inputs and outputs is nowhere in the control plane's database."""

from __future__ import annotations

import secrets
import subprocess

import psycopg
import pytest

from signalbox.up.postgres import binaries
from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

ECHO = """
    import flyte

    env = flyte.TaskEnvironment(name="echo")

    @env.task
    async def inner(text: str) -> str:
        print(f"inner says {text}")
        return f"{text} and back"

    @env.task
    async def main(text: str) -> str:
        return await inner(text)
"""


def dump(conninfo: str) -> bytes:
    """The whole database as SQL text, bytes as hexadecimal digits."""
    return subprocess.run([str(binaries() / "pg_dump"), "--inserts", conninfo], capture_output=True, check=True).stdout


def found(marker: str, dumped: bytes) -> bool:
    """Whether the marker is in the dump: as text, or within a bytea column, at either nibble alignment."""
    return marker.encode() in dumped or marker.encode().hex().encode() in dumped


def test_a_marker_in_inputs_and_outputs_is_not_in_the_database(stack: Stack) -> None:
    marker = f"canary-{secrets.token_hex(16)}"
    program = stack.program("echo", ECHO)

    name = run_name(stack.flyte("run", str(program), "main", "--text", marker).stdout)
    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    assert f"{marker} and back" in "".join(stack.flyte("get", "io", name).stdout.split("\n")).replace("  ", "")

    conninfo = stack.database_url()
    dumped = dump(conninfo)
    assert name.encode() in dumped, "the dump is not of the database that holds the run"
    assert not found(marker, dumped)
    for log in sorted((stack.state / "logs").iterdir()):
        assert marker not in log.read_text(errors="replace"), log

    planted_text, planted_bytes = f"canary-{secrets.token_hex(16)}", f"canary-{secrets.token_hex(16)}"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("UPDATE run SET output_base = %s", (f"file:///{planted_text}",))
        connection.execute("UPDATE run SET run_spec = %s", (b"\x0a" + planted_bytes.encode(),))
    dumped = dump(conninfo)
    assert found(planted_text, dumped), "the search is blind to text"
    assert found(planted_bytes, dumped), "the search is blind to bytes"
