"""Against DNS rebinding: a service that trusts whoever reaches its loopback port answers to loopback names only.

Without this, any web site could let its own name resolve to 127.0.0.1 and use the visitor's browser as the developer.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.settings import is_loopback

_MISDIRECTED = 421


class LoopbackHosts:
    """ASGI middleware: answers 421 to a request whose Host is not `localhost` or a loopback address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_loopback(_host(Headers(scope=scope).get("host", ""))):
            refusal = PlainTextResponse(
                "Host: localhost or a loopback address expected. This service runs in development mode.\n",
                status_code=_MISDIRECTED,
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(header: str) -> str:
    """Without the port; `[::1]:8090` and `::1` alike."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
