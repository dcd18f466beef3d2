"""How refusals and failures are said on the wire: always a Connect code that the SDK treats rightly.

Never INTERNAL or UNKNOWN: the stock SDK retries the first, and takes the second for an expired token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from signalbox_dataplane.control_plane import caller_token
from signalbox_dataplane.errors import ObjectMissing, OutsideStore, StoreError
from signalbox_wire.connect import Code, ServerStream, Unary

Context = RequestContext[Any, Any]
Req = TypeVar("Req")
Res = TypeVar("Res")
LONGEST_URL_LIFE = timedelta(hours=24)


def invalid(message: str) -> NoReturn:
    raise ConnectError(Code.INVALID_ARGUMENT, message)


def missing(message: str) -> NoReturn:
    raise ConnectError(Code.NOT_FOUND, message)


def unimplemented(message: str) -> NoReturn:
    raise ConnectError(Code.UNIMPLEMENTED, message)


def unary(handle: Callable[[Req], Awaitable[Res]]) -> Unary:
    """The handler of a unary RPC, from a function of the request."""

    async def handler(request: Any, context: Context) -> Res:
        with _answering(context):
            return await handle(request)

    return handler


def server_stream(handle: Callable[[Req], AsyncIterator[Res]]) -> ServerStream:
    async def handler(request: Any, context: Context) -> AsyncIterator[Res]:
        with _answering(context):
            async for message in handle(request):
                yield message

    return handler


def life(asked: Duration, default: timedelta) -> timedelta:
    """How long a signed URL is to live; refuses what is negative or over a day."""
    wanted = asked.ToTimedelta() or default
    if not timedelta(0) < wanted <= LONGEST_URL_LIFE:
        invalid(f"expires_in: got {wanted.total_seconds():.0f} s, wanted more than 0 and at most 24 hours")
    return wanted


@contextmanager
def _answering(context: Context) -> Generator[None]:
    scheme, _, token = (context.request_headers.get("authorization") or "").partition(" ")
    caller_token.set(token if scheme.lower() == "bearer" else None)
    try:
        yield
    except ObjectMissing as error:
        raise ConnectError(Code.NOT_FOUND, str(error)) from error
    except OutsideStore as error:
        raise ConnectError(Code.INVALID_ARGUMENT, str(error)) from error
    except StoreError as error:
        raise ConnectError(Code.UNAVAILABLE, str(error)) from error
    except DecodeError as error:
        raise ConnectError(Code.DATA_LOSS, f"an object in the store is damaged: {error}") from error
