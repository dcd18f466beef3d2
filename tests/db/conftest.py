from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from signalbox.store.db import Database
from support.engine import Engine
from support.invariants import violations


@pytest_asyncio.fixture
async def engine(db: Database) -> AsyncGenerator[Engine]:
    """An engine with one run; afterwards every invariant of its tables is checked."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    yield made
    assert violations(db.conninfo) == {}
