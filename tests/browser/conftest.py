"""A real Chromium, and the whole service before it; both in the loop of the session."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from support.browser import Console, Window, opened, serving
from support.builders import a_cluster, a_project
from support.database import Server, is_lawful

_CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    assert _CHROMIUM.exists(), (
        f"{_CHROMIUM} is missing: the tests of the console need Chromium; "
        "install Debian's package `chromium`, or say in CHROMIUM where it is"
    )
    return _CHROMIUM


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(chromium_path: Path) -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def console(postgres: Server, request: pytest.FixtureRequest) -> AsyncGenerator[Console]:
    """The service with an empty database, one project and one cluster."""
    with postgres.database(lawful=is_lawful(request)) as url:
        async with serving(url) as running:
            await a_project(running.db)
            async with running.db.transaction() as tx:
                await a_cluster(tx)
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: Browser) -> AsyncGenerator[Window]:
    """A page in a fresh profile; whatever went wrong in it fails the test, also what nobody looked for."""
    async with opened(chromium) as made:
        yield made
