"""What the planner would do with a statement of the product."""

from __future__ import annotations

from typing import Any, LiteralString, cast

import psycopg

from signalbox.store.db import Tx


class Explaining:
    """A transaction that explains each statement with its parameters, where it would run it."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.plans: list[str] = []

    def cursor(self, **_: Any) -> Explaining:
        return self

    async def execute(self, statement: Any, parameters: Any = None, **_: Any) -> Explaining:
        async with self._tx.transaction(force_rollback=True):
            text = psycopg.AsyncClientCursor(self._tx).mogrify(statement, parameters)
            answer = await self._tx.execute(cast("LiteralString", f"EXPLAIN {text}"))
            self.plans.append("\n".join(row[0] for row in await answer.fetchall()))
        return self

    async def fetchall(self) -> list[Any]:
        return []

    async def fetchone(self) -> None:
        return None
