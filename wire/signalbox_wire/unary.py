"""Unary RPCs in Connect's binary form, answered without what a stream, JSON or gRPC would need of a server.

connectrpc starts a task and a timeout for each call, which costs more than most hot RPCs do themselves. Here are the
few lines of the protocol that the SDK and data planes speak (connectrpc.com/docs/protocol, "Unary-Request"); every
other request is left to connectrpc. What differs: a handler whose client has gone ends in its own time, as a commit
would.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from google.protobuf.message import DecodeError, Message

_STATUS = {
    Code.CANCELED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
_GZIP = zlib.MAX_WBITS | 16
_TIMEOUT_DIGITS = 10


class Call(NamedTuple):
    """What a handler may know of its request besides the message; names of headers are in lower case."""

    request_headers: Mapping[str, str]


class PlainUnary:
    """ASGI application of unary RPCs: `methods` gives each path its request's message class and its handler."""

    def __init__(
        self,
        methods: Mapping[str, tuple[type[Message], Callable[[Any, Any], Awaitable[Message]]]],
        *,
        read_max_bytes: int,
    ) -> None:
        self._methods = methods
        self._read_max_bytes = read_max_bytes

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request is one of those that are answered here."""
        if scope["path"] not in self._methods or scope["method"] != "POST":
            return False
        content_type = encoding = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-encoding":
                encoding = value
        return content_type == b"application/proto" and encoding in (b"", b"identity", b"gzip")

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request that `takes` said yes to."""
        request, handler = self._methods[scope["path"]]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await self._body(headers, receive)
            async with asyncio.timeout(_seconds(headers.get("connect-timeout-ms", ""))):
                response = await handler(_parsed(request, body), Call(headers))
        except ConnectError as e:
            await _answer(send, _STATUS[e.code], b"application/json", _error(e.code, e.message))
        except TimeoutError:
            error = _error(Code.DEADLINE_EXCEEDED, "the request's own timeout is over")
            await _answer(send, _STATUS[Code.DEADLINE_EXCEEDED], b"application/json", error)
        else:
            await _answer(send, 200, b"application/proto", response.SerializeToString())

    async def _body(self, headers: Mapping[str, str], receive: Any) -> bytes:
        """The message's bytes. Raises ConnectError when it is larger than allowed, or is not what its header says."""
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            part = await receive()
            if part["type"] == "http.disconnect":
                raise ConnectError(Code.CANCELED, "the client has gone")
            chunks.append(part.get("body", b""))
            size += len(chunks[-1])
            if size > self._read_max_bytes:
                raise self._too_large()
            more = part.get("more_body", False)
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if body and headers.get("content-encoding") == "gzip":
            unpacking = zlib.decompressobj(_GZIP)
            try:
                body = unpacking.decompress(body, self._read_max_bytes)
            except zlib.error as e:
                raise ConnectError(Code.INVALID_ARGUMENT, f"content-encoding: gzip, which the body is not: {e}") from e
            if unpacking.unconsumed_tail:
                raise self._too_large()
            if not unpacking.eof:
                raise ConnectError(Code.INVALID_ARGUMENT, "content-encoding: gzip, of which the end is missing")
        return body

    def _too_large(self) -> ConnectError:
        return ConnectError(Code.RESOURCE_EXHAUSTED, f"message is larger than configured max {self._read_max_bytes}")


def _parsed(request: type[Message], body: bytes) -> Message:
    try:
        return request.FromString(body)
    except DecodeError as e:
        raise ConnectError(Code.INVALID_ARGUMENT, f"the message cannot be parsed: {e}") from e


def _seconds(timeout_ms: str) -> float | None:
    """The client's timeout; None for none. Raises ConnectError for what is not a positive number of milliseconds."""
    if not timeout_ms:
        return None
    if not timeout_ms.isdecimal() or len(timeout_ms) > _TIMEOUT_DIGITS:
        raise ConnectError(Code.INVALID_ARGUMENT, f"connect-timeout-ms: 1 to 10 digits, got {timeout_ms[:20]!r}")
    return int(timeout_ms) / 1000


def _error(code: Code, message: str) -> bytes:
    return json.dumps({"code": code.value, "message": message}).encode()


async def _answer(send: Any, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
