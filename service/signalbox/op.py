"""The context of one request: who asks, by when, and at what time it began.

First parameter of every function in `control`. There are no globals: what a request needs comes through here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from signalbox.errors import Forbidden
from signalbox.ids import ClusterKey
from signalbox.rules.roles import Permission, Role, may
from signalbox.store.db import Database, Tx


class Kind(StrEnum):
    USER = "user"
    CLUSTER = "cluster"
    INTERNAL = "internal"
    """A reconciler's pass: acts for the product itself."""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A caller whose identity is proven. `subject` is unique within its kind and safe to show."""

    kind: Kind
    subject: str
    name: str
    email: str = ""
    roles: frozenset[Role]
    cluster: ClusterKey | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.subject}"


RECONCILER = Principal(kind=Kind.INTERNAL, subject="reconcile", name="Reconciler", roles=frozenset())


@dataclass(frozen=True, kw_only=True, slots=True)
class Op:
    who: Principal
    now: datetime
    request_id: str
    db: Database

    def require(self, permission: Permission) -> None:
        """Raises Forbidden unless the caller holds the permission."""
        if not may(self.who.roles, permission):
            raise Forbidden(f"{self.who}: lacks the permission {permission}")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        async with self.db.transaction() as tx:
            yield tx
