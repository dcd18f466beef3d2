from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from signalbox.store.db import Database
from support.database import Server, is_lawful, server


@pytest.fixture(scope="session")
def postgres() -> Generator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def database_url(postgres: Server, request: pytest.FixtureRequest) -> Generator[str]:
    """A migrated, empty database, in which the engine's invariants hold when the test is over."""
    with postgres.database(lawful=is_lawful(request)) as url:
        yield url


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncGenerator[Database]:
    async with Database(database_url, size=8) as opened:
        yield opened
