"""A real PostgreSQL for the tests: one server a session in a folder of its own, one fresh database a test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from signalbox.store.migrate import migrate
from signalbox.up.postgres import binaries
from support.invariants import violations

_TEMPLATE = "migrated"
_START_SECONDS = 60
VERSION = os.environ.get("SIGNALBOX_TEST_POSTGRES", "18")
"""Of PostgreSQL, in all tests."""


@dataclass
class Server:
    folder: Path
    _numbers: count[int] = field(default_factory=count)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql:///{database}?host={self.folder}&user=signalbox"

    @contextmanager
    def database(self, *, migrated: bool = True, lawful: bool = True) -> Generator[str]:
        """URL of a new database, gone when the block ends. Connections to it that are still open are cut.

        Whatever a test did with it, the engine's invariants hold at the end, unless it is not `lawful`.
        """
        name = f"test_{next(self._numbers)}"
        template = _TEMPLATE if migrated else "template0"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self.url(name)
            if lawful and self._has_tables(name):
                self._analyze(name)
                found = violations(self.url(name))
                assert found == {}, found
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def drop_role(self, role: str, url: str) -> None:
        """Of the whole server, with its rights in the database of the URL."""
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(role)))

    def prepare(self) -> None:
        """Make the template that every migrated database is copied from."""
        self._execute("CREATE DATABASE {}", _TEMPLATE)
        migrate(self.url(_TEMPLATE))

    def _has_tables(self, database: str) -> bool:
        with psycopg.connect(self.url(database)) as connection:
            return connection.execute("SELECT to_regclass('work') IS NOT NULL").fetchone() == (True,)

    def _analyze(self, database: str) -> None:
        """Statistics: without them the invariants of a run of 10,000 actions take minutes."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute("ANALYZE action, work, event")

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            text = sql.SQL(statement)  # pyright: ignore[reportArgumentType]  # the literals above
            connection.execute(text.format(*map(sql.Identifier, names)))


def is_lawful(request: pytest.FixtureRequest) -> bool:
    """Whether the test leaves the tables as the product would.

    One that breaks them on purpose says so, with its reason: `@pytest.mark.unlawful_rows("why")`.
    """
    opted_out = request.node.get_closest_marker("unlawful_rows")
    assert opted_out is None or opted_out.args, "unlawful_rows: wants a reason"
    return opted_out is None


@contextmanager
def server() -> Generator[Server]:
    """The wheel's PostgreSQL on a Unix socket alone; as root it runs as `nobody`, as it refuses to be root.

    The wheel has two: SIGNALBOX_TEST_POSTGRES says which, 16 or (when it is not set) 18. Aurora is between them.
    """
    programs = binaries(VERSION)
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has 107 bytes
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    account = user.pw_uid if user else None
    try:
        _initialize(programs, folder, account)
        log = (folder / "server.log").open("wb")
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *_options(folder)],
            stdout=log,
            stderr=log,
            user=account,
            start_new_session=True,  # Ctrl-C of the test run must not end it before the tests let go
        )
        log.close()
        try:
            made = Server(folder)
            _await(made, process)
            made.prepare()
            yield made
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialize(programs: Path, folder: Path, account: int | None) -> None:
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "--username=signalbox", "--auth=trust", "--encoding=UTF8",
         "--locale=C", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        user=account,
    )  # fmt: skip


def _options(folder: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "max_connections": "200",
        "fsync": "off",  # nothing here outlives the session
        "autovacuum": "off",  # plans are asserted: statistics change only when a test says so
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _await(made: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(made.url()).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((made.folder / "server.log").read_text()) from None
            time.sleep(0.05)
        else:
            return
