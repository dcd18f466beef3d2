"""Hints between processes: which topics changed. A hint is never content, and a lost one costs only time.

Sent on a connection of its own, after commit and coalesced: NOTIFY inside a durable transaction would serialize every
commit of the database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from signalbox.store.connection import Password, connecting

CONNECTION_LOST = psycopg.OperationalError

_CHANNEL = "signalbox"
_LONGEST = 7000  # bytes of a payload; PostgreSQL's limit is 8000


class Channel:
    """One connection that tells, or listens; reconnecting is the caller's."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, conninfo: str, password: Password | None = None) -> AsyncGenerator[Channel]:
        async with await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, **await connecting(conninfo, password)
        ) as connection:
            await connection.execute("SET synchronous_commit = off")
            yield cls(connection)

    async def tell(self, sender: str, topics: Sequence[str]) -> None:
        """Hint that the topics changed."""
        for part in _parts(sender, topics):
            await self._connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, part))

    async def listen(self, *, timeout: float) -> AsyncGenerator[tuple[str, list[str]] | None]:  # noqa: ASYNC109  # of the driver's own wait
        """(sender, topics) of each hint, and None after each `timeout` seconds without one.

        Raises CONNECTION_LOST also when the server is asked after such a quiet and does not answer for as long again.
        """
        await self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_CHANNEL)))
        while True:
            quiet = True
            async for notification in self._connection.notifies(timeout=timeout, stop_after=1):
                quiet = False
                sender, *topics = json.loads(notification.payload)
                yield sender, topics
            if quiet:
                await self._ask(timeout)
                yield None

    async def _ask(self, timeout: float) -> None:  # noqa: ASYNC109  # as above
        """A connection that only ever listens never notices by itself that the other side is gone."""
        try:
            async with asyncio.timeout(timeout):
                await self._connection.execute("SELECT 1")
        except TimeoutError as e:
            raise CONNECTION_LOST("no answer from the database on the connection that listens") from e


def _parts(sender: str, topics: Sequence[str]) -> list[str]:
    """Payloads that each fit; a topic is far shorter than a payload."""
    parts: list[str] = []
    batch: list[str] = []
    size = 0
    for topic in topics:
        if size + len(topic) > _LONGEST and batch:
            parts.append(json.dumps([sender, *batch]))
            batch, size = [], 0
        batch.append(topic)
        size += len(topic) + 4
    if batch:
        parts.append(json.dumps([sender, *batch]))
    return parts
