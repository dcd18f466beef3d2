"""Applies the migrations in `migrations/`, in the order of their names, each once and in a transaction of its own.

Refuses when an applied file has changed since, or when the database is newer than this program. Concurrent migrators
wait for each other. A migration must run while the previous version still serves.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import LiteralString, cast

import psycopg
from psycopg.rows import TupleRow

from signalbox.errors import Conflict, Unavailable
from signalbox.store.db import Tx

_LOCK = 0x51_67_6E_61_6C  # any constant: names the advisory lock of this program's migrations

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name    text COLLATE "C" CONSTRAINT schema_migration_pkey PRIMARY KEY,
    sha256  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
)"""


def files() -> dict[str, str]:
    """SQL text by file name, in order."""
    folder = resources.files("signalbox.store") / "migrations"
    return {f.name: f.read_text() for f in sorted(folder.iterdir(), key=lambda f: f.name) if f.name.endswith(".sql")}


def migrate(conninfo: str) -> list[str]:
    """Names of the files that were applied now. Raises Conflict or Unavailable."""
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            return _apply(connection)
    except psycopg.OperationalError as e:
        raise Unavailable(
            "the database cannot be reached", hint="is SIGNALBOX_DATABASE_URL right?", detail=str(e)
        ) from e


async def is_current(tx: Tx) -> bool:
    """Whether every migration of this program is applied."""
    cursor = await tx.execute("SELECT to_regclass('schema_migration') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return False
    cursor = await tx.execute("SELECT name FROM schema_migration ORDER BY name")
    return set(files()) <= {row[0] for row in await cursor.fetchall()}


def _apply(connection: psycopg.Connection[TupleRow]) -> list[str]:
    connection.execute(_TABLE)
    known = files()
    applied = dict(connection.execute("SELECT name, sha256 FROM schema_migration ORDER BY name").fetchall())
    if newer := sorted(set(applied) - set(known)):
        raise Conflict(f"the database is newer than this program: it has {', '.join(newer)}")
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
            connection.execute("INSERT INTO schema_migration (name, sha256) VALUES (%s, %s)", (name, digest))
        done.append(name)
    return done
