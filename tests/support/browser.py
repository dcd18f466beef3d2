"""The whole service on a free loopback port, its database, and a real Chromium that may talk to nobody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvicorn
from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Request

from signalbox import serve
from signalbox.control.hub import Hub
from signalbox.ids import RunKey
from signalbox.settings import Auth, Settings
from signalbox.store.db import Database
from support.builders import SCOPE


@dataclass(frozen=True, kw_only=True)
class Console:
    """A running console: where it is, and what is behind it."""

    url: str
    db: Database
    hub: Hub

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

    async def asked(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


# A violation of the page's own policy is trouble even where it stopped an attack: something was not escaped.
_WATCH_POLICY = """
addEventListener("securitypolicyviolation", (e) => {
  console.error("policy violated:", e.violatedDirective, e.blockedURI);
});
"""


@asynccontextmanager
async def serving(database_url: str, **changes: object) -> AsyncGenerator[Console]:
    settings = Settings(database_url=database_url, auth=Auth.DEVELOPMENT, **changes)  # pyright: ignore[reportArgumentType]  # pydantic checks and converts
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with serve.parts(settings) as parts:
            server = uvicorn.Server(uvicorn.Config(serve.application(parts), log_config=None, lifespan="off"))
            running = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                yield Console(url=url, db=parts.db, hub=parts.hub)
            finally:
                parts.hub.drain()
                server.should_exit = True
                await running


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
    page.on("dialog", made.asked)
    await page.add_init_script(_WATCH_POLICY)
    yield made
    await context.close()
    assert made.troubles == []
