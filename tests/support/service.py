"""The whole service as an ASGI application over a test's database, and a Connect client of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from pyqwest import Client
from pyqwest.testing import ASGITransport
from starlette.types import ASGIApp

from signalbox.api.permissions import services
from signalbox.serve import Parts, application, parts
from signalbox.settings import Auth, Settings
from signalbox_wire.connect import RpcClient


@dataclass
class Service:
    parts: Parts
    app: ASGIApp
    client: RpcClient

    async def call(self, rpc: str, request: Message) -> Any:
        """Answer of a unary RPC, e.g. `workflow.RunService/ListRuns`. Raises ConnectError."""
        return await self.client.call(f"/flyteidl2.{rpc}", request, Message, timeout_ms=10_000)

    def stream(self, rpc: str, request: Message) -> Any:
        return self.client.stream(f"/flyteidl2.{rpc}", request, Message)


@asynccontextmanager
async def service(
    database_url: str, *, progress_every: timedelta = timedelta(seconds=8), token: str | None = None
) -> AsyncGenerator[Service]:
    """`token`: shown as the caller's credential; without one the caller is the developer."""
    settings = Settings(
        database_url=database_url,  # pyright: ignore[reportArgumentType]  # pydantic makes it a secret
        auth=Auth.DEVELOPMENT,
        progress_every=progress_every,
    )
    async with parts(settings) as made:
        app = application(made)
        client = RpcClient(
            "http://127.0.0.1:8090",
            services=services(),
            http_client=Client(ASGITransport(app)),
            authorization=lambda: token,
        )
        try:
            yield Service(made, app, client)
        finally:
            made.hub.drain()
