"""What this version does not serve answers so, in words, in the protocol that the client speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from signalbox.api.interceptors import StreamHandler, UnaryHandler
from signalbox.errors import Unserved
from signalbox.op import Op


def handler(reason: str, *, stream: bool) -> UnaryHandler | StreamHandler:
    """A handler that refuses, with the reason."""

    async def refuse(_op: Op, _request: Any) -> Any:
        raise Unserved(reason)

    async def refuse_stream(_op: Op, _request: Any) -> AsyncIterator[Any]:
        raise Unserved(reason)
        yield  # makes it a stream

    return refuse_stream if stream else refuse


async def not_found(request: Request, error: Exception) -> Response:
    """No such path: Connect clients read this as `unimplemented`, people as a sentence."""
    del error
    return JSONResponse({"code": "unimplemented", "message": f"{request.url.path}: no such path"}, status_code=404)
