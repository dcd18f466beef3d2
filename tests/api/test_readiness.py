"""GET /readyz: whether a load balancer should send requests here, told in time whatever the database does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from time import monotonic

import psycopg
import pytest_asyncio
from pyqwest import Client
from pyqwest.testing import ASGITransport

from support.service import Service, service


@pytest_asyncio.fixture
async def running(database_url: str) -> AsyncGenerator[Service]:
    async with service(database_url) as made:
        yield made


async def ready(running: Service) -> tuple[int, dict[str, object]]:
    answer = await Client(ASGITransport(running.app)).get("http://127.0.0.1:8090/readyz")
    return answer.status, json.loads(answer.content)


async def test_a_database_that_somebody_locked_is_told_within_seconds(running: Service) -> None:
    async with await psycopg.AsyncConnection.connect(running.parts.db.conninfo) as holder:
        await holder.execute("LOCK TABLE schema_migration IN ACCESS EXCLUSIVE MODE")
        began = monotonic()
        status, answer = await ready(running)

    assert status == 503
    assert "held by others" in str(answer["reason"])
    assert monotonic() - began < 5
    assert await ready(running) == (200, {"ready": True})


async def test_a_process_that_is_about_to_stop_is_not_ready(running: Service) -> None:
    running.parts.hub.drain()

    assert await ready(running) == (503, {"ready": False, "reason": "the process is about to stop"})
