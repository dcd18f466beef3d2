"""What trusts whoever reaches its loopback port answers to loopback names only.

Without this, any web site could let its own name resolve to 127.0.0.1 and use the visitor's browser as the developer
(DNS rebinding). Both planes do so for as long as their callers on this machine need no credential.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_MISDIRECTED = 421
_REFUSAL = b"Host: localhost or a loopback address expected. This service runs in development mode.\n"


@functools.lru_cache(maxsize=100)
def is_loopback(host: str) -> bool:
    """Whether a name or address (without brackets or port) is this machine's own by itself, whatever DNS says."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LoopbackHosts:
    """ASGI middleware: answers 421 to a request whose Host is not `localhost` or a loopback address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_loopback(_host(scope)):
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(_REFUSAL)).encode())]
            await send({"type": "http.response.start", "status": _MISDIRECTED, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    """Without the port; `[::1]:8090` and `::1` alike. Empty when the request names none."""
    header = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]
