"""The connection pool, and what a database error means to a caller.

`Tx` is the first parameter of every function of this room: a connection inside a transaction, or one that commits each
statement. Statements are whole and literal; nothing is built from strings.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from signalbox.errors import AlreadyExists, Contended, Invalid, SignalboxError, Unavailable
from signalbox.store.arrays import ArrayDumper
from signalbox.store.connection import Cursor, Password, Session, connecting

Tx = AsyncConnection[TupleRow]

_NO_ANSWER = "the database does not answer"
# Broken connections, no room for more, ended by the server: idle in a transaction, or going down. Beside these, errors
# of the connection that the driver finds by itself, which have no code.
_OUTAGES = ("08", "53", "25P03", "57P01", "57P02", "57P03", "57P05")
_MEANINGS: dict[str, tuple[type[SignalboxError], str]] = {
    "22": (Invalid, "a text in the request cannot be kept: it holds a NUL byte, or a number is too large"),
    "40": (Contended, "others changed the same things at the same time: try again"),
    "54": (Invalid, "a text in the request cannot be kept: it is too long"),
    # A table, a column or a function is missing: the migration of this version has not run, or a later one has.
    **dict.fromkeys(("42P01", "42703", "42883"), (Unavailable, "the database's schema is not of this version")),
    "55P03": (Contended, "what the request needs is held by others for too long: try again"),
}

# What a violated constraint says to the caller whose request violated it.
_TAKEN = {
    "run_pkey": "a run of this name exists",
    "project_pkey": "a project of this id exists",
    "task_pkey": "this version of the task exists",
}


class Database:
    """A pool of connections; open it as an async context manager."""

    def __init__(self, conninfo: str, *, size: int, password: Password | None = None) -> None:
        """`password`: asked for each new connection, instead of one that `conninfo` has."""
        self.conninfo = conninfo

        async def arguments() -> dict[str, Any]:
            return {"autocommit": True, "prepare_threshold": 0, **await connecting(conninfo, password)}

        self._pool = AsyncConnectionPool(
            conninfo,
            connection_class=Session,
            min_size=min(2, size),
            max_size=size,
            timeout=2.0,  # of the 5 s that the SDK gives an Enqueue
            kwargs=arguments,
            configure=_configure,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        """All or nothing. Raises AlreadyExists for a taken name, Invalid for what no column can keep, Unavailable
        when the database is missing, Contended when others are in the way.

        Statements are sent without waiting for the ones before: results are known when they are fetched (`rowcount`
        is not), errors at the next fetch or at the end.
        """
        with _translated():
            async with self._pool.connection() as connection, connection.pipelined(), connection.transaction():
                yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncGenerator[Tx]:
        """Each statement by itself: on the newest state, committed with it. Raises as `transaction`."""
        with _translated():
            async with self._pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Tx]:
        """Several statements, all on the state at the first of them; nothing can be written. Raises Unavailable."""
        async with self.transaction() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield tx


async def _configure(connection: Session) -> None:
    connection.cursor_factory = Cursor
    connection.adapters.register_dumper(list, ArrayDumper)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except PoolTimeout as e:
        raise Unavailable(_NO_ANSWER, detail=str(e)) from e
    except psycopg.Error as e:
        meaning = _meaning(e)
        if meaning is None:
            raise
        raise meaning from e


def _meaning(error: psycopg.Error) -> SignalboxError | None:
    """What to tell the caller, by SQLSTATE; None for a bug of ours.

    Only what says that the database is away is an outage: a batch then gives up on all of its items at once.
    """
    state = error.sqlstate or ""
    if state == "23505" and (taken := _TAKEN.get(error.diag.constraint_name or "")):
        return AlreadyExists(taken)
    if state in _OUTAGES or state[:2] in _OUTAGES or (not state and isinstance(error, psycopg.OperationalError)):
        return Unavailable(_NO_ANSWER, detail=str(error))
    for code in (state, state[:2]):
        if code in _MEANINGS:
            kind, message = _MEANINGS[code]
            return kind(message, detail=str(error))
    return None
