"""Applies the migrations in `migrations/`, in the order of their names, each once and in a transaction of its own.

Concurrent migrators wait for each other, within a bound. Refuses when an applied file has changed since.

A migration runs while the former version serves, and a roll-back starts that version on the newer database: so a
file adds, and a database that is newer than the program leaves it nothing to do. A file that takes away what an older
version needs says so in its first line, `-- requires: NAME`: a program that does not know that file is refused then.
"""

from __future__ import annotations

import hashlib
import re
import time
from datetime import timedelta
from importlib import resources
from typing import LiteralString, cast

import psycopg
from psycopg.rows import TupleRow

from signalbox.errors import Conflict, Unavailable
from signalbox.log import logger
from signalbox.store import app_role as roles
from signalbox.store.connection import network
from signalbox.store.db import Tx

_log = logger("migrate")

LOCK = 0x51_67_6E_61_6C  # any constant: names the advisory lock of this program's migrations

PATIENCE = timedelta(seconds=120)
"""How long to wait for another migrator."""
_MILLISECOND = timedelta(milliseconds=1)
_AGAIN_SECONDS = 1.0

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name    text COLLATE "C" CONSTRAINT schema_migration_pkey PRIMARY KEY,
    sha256  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE schema_migration ADD COLUMN IF NOT EXISTS requires text"""

_REQUIRES = re.compile(r"^-- requires: (\S+)$", re.MULTILINE)


def files() -> dict[str, str]:
    """SQL text by file name, in order."""
    folder = resources.files("signalbox.store") / "migrations"
    return {f.name: f.read_text() for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.name.endswith(".sql")}


def migrate(conninfo: str, *, app_role: str | None = None, wait: timedelta = timedelta(0)) -> list[str]:
    """Names of the files that were applied now; then `app_role` has its rights. Raises Conflict or Unavailable.

    `wait`: for a database that does not let anyone in yet.
    """
    with _connected(conninfo, until=time.monotonic() + wait.total_seconds()) as connection:
        try:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{PATIENCE / _MILLISECOND:.0f}ms",))
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            applied, is_newer = _apply(connection)
            # an older program knows fewer tables, and would take the newer one's rights on the others away
            if app_role is not None and not is_newer:
                roles.establish(connection, app_role)
        except psycopg.errors.LockNotAvailable as e:
            raise Unavailable("somebody holds for too long what the migration needs: try again", detail=str(e)) from e
        except psycopg.OperationalError as e:
            raise Unavailable("the database went away", detail=str(e)) from e
        return applied


def _connected(conninfo: str, *, until: float) -> psycopg.Connection[TupleRow]:
    """Raises Unavailable when nobody is let in until then (monotonic seconds), and Invalid."""
    given = network(conninfo)
    while True:
        try:
            return psycopg.connect(conninfo, autocommit=True, **given)
        except psycopg.OperationalError as e:
            if time.monotonic() + _AGAIN_SECONDS > until:
                raise Unavailable(
                    "the database cannot be reached", hint="is SIGNALBOX_DATABASE_URL right?", detail=str(e)
                ) from e
            _log.warning("database_awaited", error=str(e))
            time.sleep(_AGAIN_SECONDS)


async def is_current(tx: Tx) -> bool:
    """Whether every migration of this program is applied."""
    cursor = await tx.execute("SELECT to_regclass('schema_migration') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return False
    cursor = await tx.execute("SELECT name FROM schema_migration ORDER BY name")
    return set(files()) <= {row[0] for row in await cursor.fetchall()}


def _apply(connection: psycopg.Connection[TupleRow]) -> tuple[list[str], bool]:
    """Return the files that were applied now, and whether the database has files that this program does not know."""
    connection.execute(_TABLE)
    known = files()
    rows = connection.execute("SELECT name, sha256, requires FROM schema_migration ORDER BY name").fetchall()
    applied = {name: sha256 for name, sha256, _ in rows}
    newer = sorted(set(applied) - set(known))
    if needed := sorted({requires for _, _, requires in rows if requires is not None} - set(known)):
        raise Conflict(
            f"the database is newer than this program: it has {', '.join(newer)}, and needs a program that knows "
            f"{', '.join(needed)}"
        )
    if newer:
        _log.info("database_is_newer", migrations=newer)
    done: list[str] = []
    for name, text in known.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in applied:
            if applied[name] != digest:
                raise Conflict(f"migration {name} was changed after it was applied")
            continue
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '4s'")
            connection.execute(cast("LiteralString", text))  # from this package's own files
            requires = _REQUIRES.match(text)
            connection.execute(
                "INSERT INTO schema_migration (name, sha256, requires) VALUES (%s, %s, %s)",
                (name, digest, requires and requires[1]),
            )
        done.append(name)
    return done, bool(newer)
