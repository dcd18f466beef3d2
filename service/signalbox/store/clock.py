"""The database's clock: the only one by which leases and bounds are reckoned."""

from __future__ import annotations

from datetime import datetime

from signalbox.store.db import Tx


async def now(tx: Tx) -> datetime:
    """Now, aware."""
    cursor = await tx.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM has one row
    return row[0]
