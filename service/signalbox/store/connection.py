"""How this program connects: what a session is told, and when a peer that is gone counts as gone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import Row, TupleRow

from signalbox.errors import Invalid, Unavailable

Password = Callable[[], Awaitable[str]]
"""Gives what to log in with now. Raises Unavailable."""

LOCK_TIMEOUT = timedelta(seconds=2)
"""Of the 5 s that the SDK gives an Enqueue: 2 s for a connection, this for a lock.

Also what a batch waits for a run that somebody holds, twice at most, before the other runs in it go on
(control/batch.py).
"""

IDLE_IN_TRANSACTION = timedelta(seconds=5)
"""A process that freezes in a transaction loses it, and its locks, after this. No transaction waits for anything but
the database: only a stopped or starved process is idle in one for so long."""

# Statements are prepared once a connection and planned once: planning dispatch anew for each of its executions costs
# more than executing it. Nothing here is worth compiling. In UTC every time that the API takes can be shown: in a zone
# of the database's own, those of the last hours of the year 9999 would have a fifth digit, which no reader has.
_SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
    "lock_timeout": f"{LOCK_TIMEOUT.total_seconds():.0f}s",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION.total_seconds():.0f}s",
    # Over TCP, as below, for the server: it then lets go of the locks of a host that vanished.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
}

# Over TCP; a Unix socket has no use for them. A server that vanished, also in the middle of a statement, is noticed
# within about 10 s instead of the kernel's minutes or hours.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def given(conninfo: str) -> dict[str, Any]:
    """What `conninfo` says, by the names of libpq. Raises Invalid."""
    try:
        return dict(conninfo_to_dict(conninfo))
    except psycopg.ProgrammingError:  # its text may repeat a password
        raise Invalid("SIGNALBOX_DATABASE_URL: a postgresql:// URL, or what else libpq takes") from None


def network(conninfo: str) -> dict[str, Any]:
    """When a peer counts as gone, where `conninfo` says nothing about it itself. Raises Invalid."""
    own = given(conninfo)
    return {name: value for name, value in _NETWORK.items() if name not in own}


async def connecting(conninfo: str, password: Password | None) -> dict[str, Any]:
    """What to connect with beside `conninfo`. Raises Invalid, and psycopg.OperationalError without a password.

    The latter because a password that cannot be had is an outage like any other: whoever connects tries again.
    """
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    arguments = network(conninfo) | {"options": options}
    if password is None:
        return arguments
    try:
        return arguments | {"password": await password()}
    except Unavailable as e:
        raise psycopg.OperationalError(f"{e.message}: {e.detail}") from e


class Session(AsyncConnection[TupleRow]):
    """A connection whose results are fetched after a Sync of the pipeline, where there is one.

    psycopg would only flush. Without the Sync the server does not know that it has all that it was sent, and holds the
    session for active: IDLE_IN_TRANSACTION would never end a process that froze between two statements.
    """

    sent: AsyncPipeline | None = None

    @asynccontextmanager
    async def pipelined(self) -> AsyncGenerator[None]:
        """Send statements without waiting for the results of those before."""
        async with self.pipeline() as pipeline:
            self.sent = pipeline
            try:
                yield
            finally:
                self.sent = None


class Cursor(AsyncCursor[Row]):
    """A cursor of a `Session`."""

    async def fetchone(self) -> Row | None:
        await self._arrived()
        return await super().fetchone()

    async def fetchall(self) -> list[Row]:
        await self._arrived()
        return await super().fetchall()

    async def _arrived(self) -> None:
        if self.pgresult is None and isinstance(self.connection, Session) and self.connection.sent is not None:
            await self.connection.sent.sync()
