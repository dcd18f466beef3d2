"""The whole service on a free loopback port, its database, and a real Chromium that may talk to nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from signalbox import serve
from signalbox.control.hub import Hub
from signalbox.ids import RunKey
from signalbox.settings import Auth, Settings
from signalbox.store.db import Database
from support.builders import SCOPE, a_cluster, a_project
from support.database import Server

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


@dataclass(frozen=True, kw_only=True)
class Console:
    """A running console: where it is, and what is behind it."""

    url: str
    db: Database
    hub: Hub
    application: serve.Parts

    @property
    def runs(self) -> str:
        return f"{self.url}/v2/domain/{SCOPE.domain}/project/{SCOPE.project}/runs"

    def run(self, key: RunKey) -> str:
        return f"{self.runs}/{key.run}"


@dataclass
class Window:
    """A page of the browser, and everything about it that must not happen."""

    page: Page
    troubles: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])

    def saw(self, request: Request) -> None:
        self.requests.append(request.url)
        if urlsplit(request.url).hostname != "127.0.0.1":
            self.troubles.append(f"request to another host: {request.url}")

    def said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"console {message.type}: {message.text}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncGenerator[Browser]:
    assert _CHROMIUM.exists(), (
        f"{_CHROMIUM} is missing: the tests of the console need Chromium; "
        "install Debian's package `chromium`, or say in CHROMIUM where it is"
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def console(postgres: Server) -> AsyncGenerator[Console]:
    """The service with an empty database, one project and one cluster."""
    with postgres.database() as url:
        async with serving(url) as running:
            await a_project(running.db)
            async with running.db.transaction() as tx:
                await a_cluster(tx)
            yield running


@asynccontextmanager
async def serving(database_url: str) -> AsyncGenerator[Console]:
    settings = Settings(database_url=database_url, auth=Auth.DEVELOPMENT)  # pyright: ignore[reportArgumentType]  # pydantic makes the secret
    async with serve.parts(settings) as parts:
        config = uvicorn.Config(serve.application(parts), log_config=None, lifespan="off", port=0)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Console(url=f"http://127.0.0.1:{port}", db=parts.db, hub=parts.hub, application=parts)
        finally:
            parts.hub.drain()
            server.should_exit = True
            await running


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: Browser) -> AsyncGenerator[Window]:
    """A page in a fresh profile; whatever went wrong in it fails the test, also what nobody looked for."""
    async with opened(chromium) as made:
        yield made


@asynccontextmanager
async def opened(
    chromium: Browser, *, width: int = 1280, height: int = 900, scripts: bool = True, dark: bool = False
) -> AsyncGenerator[Window]:
    context = await chromium.new_context(
        viewport={"width": width, "height": height},
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
    )
    page = await context.new_page()
    page.set_default_timeout(10_000)
    made = Window(page)
    page.on("request", made.saw)
    page.on("console", made.said)
    page.on("pageerror", lambda error: made.troubles.append(f"script failed: {error}"))
    yield made
    await context.close()
    assert made.troubles == []
