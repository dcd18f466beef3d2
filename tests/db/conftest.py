from __future__ import annotations

import pytest_asyncio

from signalbox.store.db import Database
from support.engine import Engine


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """An engine with one run."""
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    return made
