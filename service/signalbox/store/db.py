"""The connection pool, and what a database error means to a caller.

`Tx` is the first parameter of every function of this room: a connection inside a transaction, or one that commits each
statement. Statements are whole and literal; nothing is built from strings.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from signalbox.errors import AlreadyExists, Invalid, Unavailable
from signalbox.store.arrays import ArrayDumper

Tx = AsyncConnection[TupleRow]

# What a violated constraint says to the caller whose request violated it.
_TAKEN = {
    "run_pkey": "a run of this name exists",
    "project_pkey": "a project of this id exists",
    "task_pkey": "this version of the task exists",
}


# Statements are prepared once a connection and planned once: planning dispatch anew for each of its executions costs
# more than executing it. Nothing here is worth compiling.
_OPTIONS = "-c plan_cache_mode=force_generic_plan -c jit=off"


class Database:
    """A pool of connections; open it as an async context manager."""

    def __init__(self, conninfo: str, *, size: int) -> None:
        self.conninfo = conninfo
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=2.0,  # of the 5 s that the SDK gives an Enqueue
            kwargs={"autocommit": True, "prepare_threshold": 0, "options": _OPTIONS},
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
        """All or nothing. Raises AlreadyExists for a taken name, Unavailable when the database is missing.

        Statements are sent without waiting for the ones before: results are known when they are fetched (`rowcount`
        is not), errors at the next fetch or at the end.
        """
        with _translated():
            async with self._pool.connection() as connection, connection.pipeline(), connection.transaction():
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


async def _configure(connection: AsyncConnection[TupleRow]) -> None:
    connection.adapters.register_dumper(list, ArrayDumper)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as e:
        message = _TAKEN.get(e.diag.constraint_name or "")
        if message is None:
            raise
        raise AlreadyExists(message) from e
    except psycopg.DataError as e:
        raise Invalid(
            "a text in the request cannot be kept: it holds a NUL byte, or a number is too large", detail=str(e)
        ) from e
    except (psycopg.OperationalError, PoolTimeout) as e:
        raise Unavailable("the database does not answer", detail=str(e)) from e
