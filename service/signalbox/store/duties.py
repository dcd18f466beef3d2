"""What any one of the processes does once a period."""

from __future__ import annotations

from datetime import timedelta

from signalbox.store.db import Tx

_EARLY = 0.9
"""Of the period: whoever did it last and comes again after just one period must find it due."""


async def claim(tx: Tx, name: str, *, every: timedelta) -> bool:
    """Whether the duty is due, and now the caller's; nobody else gets it until the period has passed."""
    cursor = await tx.execute(
        """
        INSERT INTO duty (name, done_at) VALUES (%(name)s, clock_timestamp())
            ON CONFLICT (name) DO UPDATE SET done_at = clock_timestamp()
                WHERE duty.done_at <= clock_timestamp() - %(period)s
        RETURNING true""",
        {"name": name, "period": every * _EARLY},
    )
    return await cursor.fetchone() is not None
