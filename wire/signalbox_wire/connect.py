"""Connect endpoints and clients, made from the descriptors of generated messages.

flyteidl2's own `*_connect.py` do not load with this connectrpc (they lack `stream_type`), and its default codecs are
not those of google.protobuf. Both planes build what they serve and call here instead, so there is one such place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from connectrpc.client import ConnectClient
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_codecs
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf import message_factory
from google.protobuf.message import Message

from signalbox_wire.unary import PlainUnary

if TYPE_CHECKING:
    from connectrpc.request import RequestContext
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
    from pyqwest import Client

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)
Unary = Callable[[Any, "RequestContext[Any, Any]"], Awaitable[Any]]
ServerStream = Callable[[Any, "RequestContext[Any, Any]"], AsyncIterator[Any]]

_ACCEPTS = frozenset({b"accept-encoding", b"connect-accept-encoding"})

__all__ = ["Code", "RpcClient", "ServerStream", "ServiceApplication", "Unary", "method_info", "rpc_path"]


def rpc_path(method: MethodDescriptor) -> str:
    """URL path of an RPC, e.g. `/flyteidl2.workflow.RunService/CreateRun`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def method_info(method: MethodDescriptor) -> MethodInfo[Any, Any]:
    """What connectrpc needs to know of an RPC."""
    stream_type = {
        (False, False): StreamType.UNARY,
        (False, True): StreamType.SERVER_STREAM,
        (True, False): StreamType.CLIENT_STREAM,
        (True, True): StreamType.BIDI_STREAM,
    }[method.client_streaming, method.server_streaming]
    return MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=message_factory.GetMessageClass(method.input_type),
        output=message_factory.GetMessageClass(method.output_type),
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=stream_type,
    )


class ServiceApplication(ConnectASGIApplication[None]):
    """ASGI application of one service: Connect in binary and JSON, unary and server streams.

    `handlers` maps method names to functions of (request, context). A method without a handler is a mistake of the
    caller (KeyError): what is not served is answered by a handler that says so. `hot`: answers are small and many a
    second; they are sent as they are, whatever the client would take (requests may always be compressed), and unary
    ones in Connect's binary form by `PlainUnary`.
    """

    def __init__(
        self,
        service: ServiceDescriptor,
        handlers: Mapping[str, Unary | ServerStream],
        *,
        read_max_bytes: int,
        hot: bool = False,
    ) -> None:
        self._path = f"/{service.full_name}"
        table = {rpc_path(m): _endpoint(m, handlers[m.name]) for m in service.methods}
        unary = {
            rpc_path(m): (method_info(m).input, cast("Unary", handlers[m.name]))
            for m in service.methods
            if not (m.client_streaming or m.server_streaming)
        }
        self._plain = PlainUnary(unary, read_max_bytes=read_max_bytes) if hot else None
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # connectrpc leaves Codec's parameters open
            service=None,
            endpoints=lambda _: table,
            read_max_bytes=read_max_bytes,
            codecs=google_protobuf_codecs(),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._plain and scope["type"] == "http":
            if self._plain.takes(scope):
                await self._plain(scope, receive, send)
                return
            kept = [header for header in scope.get("headers", ()) if header[0] not in _ACCEPTS]
            scope["headers"] = kept  # not a copy of it: a stream would keep both
        await super().__call__(scope, receive, send)  # pyright: ignore[reportUnknownMemberType]  # as above

    @property
    def path(self) -> str:
        return self._path


def _endpoint(method: MethodDescriptor, handler: Unary | ServerStream) -> Any:
    info = method_info(method)
    match info.stream_type:
        case StreamType.UNARY:
            return Endpoint.unary(info, cast("Unary", handler))
        case StreamType.SERVER_STREAM:
            return Endpoint.server_stream(info, cast("ServerStream", handler))
        case StreamType.CLIENT_STREAM:
            return Endpoint.client_stream(info, cast("Any", handler))
        case StreamType.BIDI_STREAM:
            return Endpoint.bidi_stream(info, cast("Any", handler))


class RpcClient:
    """Calls the RPCs of any service at one address; errors are connectrpc's `ConnectError`.

    `authorization` is asked anew for each call, so that a renewed credential is used at once.
    """

    def __init__(
        self,
        address: str,
        *,
        services: Iterable[ServiceDescriptor],
        http_client: Client | None = None,
        authorization: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._client = ConnectClient(address, codec=google_protobuf_binary_codec(), http_client=http_client)
        self._methods = {rpc_path(m): method_info(m) for service in services for m in service.methods}
        self._authorization = authorization

    async def call(self, path: str, request: Message, reply: type[Res], *, timeout_ms: int) -> Res:
        """Answer of a unary RPC; `path` as `rpc_path` writes it, `reply` its output type."""
        del reply  # only types the result: the message classes of a descriptor are the generated ones
        return await self._client.execute_unary(
            request=request, method=self._methods[path], headers=self._headers(), timeout_ms=timeout_ms
        )

    def stream(self, path: str, request: Message, reply: type[Res]) -> AsyncIterator[Res]:
        """Messages of a server stream, until it ends or fails."""
        del reply
        return self._client.execute_server_stream(request=request, method=self._methods[path], headers=self._headers())

    def _headers(self) -> dict[str, str]:
        token = self._authorization()
        return {"authorization": f"Bearer {token}"} if token else {}
