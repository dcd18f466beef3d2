"""The one way into the product: authenticate, authorize, validate, then the handler; errors become Connect codes.

Every RPC of every service passes `guarded` below, in this order and before any other work. Only this module
knows connectrpc's errors.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

import protovalidate
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from google.protobuf.message import Message
from prometheus_client import Histogram

from signalbox.access.principals import ANONYMOUS, Authenticator
from signalbox.api import orgs
from signalbox.api.permissions import Open, Rule
from signalbox.control.hub import StreamOver
from signalbox.errors import Forbidden, Invalid, SignalboxError
from signalbox.log import logger
from signalbox.metrics import RPC_SECONDS, STREAMS_OPEN
from signalbox.op import Op, Principal
from signalbox.rules.roles import may
from signalbox.store import audit
from signalbox.store.db import Database
from signalbox_wire.connect import ServerStream, Unary

UnaryHandler = Callable[[Op, Any], Awaitable[Any]]
StreamHandler = Callable[[Op, Any], AsyncIterator[Any]]
Handlers = Mapping[str, UnaryHandler | StreamHandler]

# Their handlers validate: a malformed part of a batch must not fail its neighbours, and a TaskSpec that was found
# valid once need not be looked at for each of a thousand leaves.
_VALIDATED_BY_HANDLER = frozenset(
    {"signalbox.cluster.v1.ClusterLinkService/Report", "flyteidl2.actions.ActionsService/Enqueue"}
)

_LONGEST_REQUEST_ID = 128  # of a caller's own: it stands in audit rows

_log = logger("api")
_validator = protovalidate.Validator()


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a request needs before its handler may run."""

    db: Database
    authenticator: Authenticator
    default_org: str

    async def admit(self, rpc: str, rule: Rule, request: Message, ctx: RequestContext[Any, Any]) -> Op:
        """The request's Op. Raises Unauthenticated, Forbidden or Invalid, and nothing has happened then."""
        headers = ctx.request_headers
        who = ANONYMOUS if isinstance(rule, Open) else await self.authenticator.principal(headers)
        request_id = headers.get("x-request-id", "")[:_LONGEST_REQUEST_ID] or secrets.token_hex(16)
        op = Op(who=who, now=datetime.now(UTC), request_id=request_id, db=self.db)
        org = who.cluster.org if who.cluster else self.default_org
        if not isinstance(rule, Open) and not may(who.roles, rule):
            async with op.transaction() as tx:
                await audit.append(tx, audit.Entry(org, str(who), rpc, "", request_id, "denied"))
            raise Forbidden(f"{who}: lacks the permission {rule}")
        if rule is Open.UNSERVED:
            return op
        orgs.fill(request, org)
        if rpc not in _VALIDATED_BY_HANDLER:
            validate(request)
        return op


def validate(request: Message) -> None:
    """Check the rules that the API's own definition states. Raises Invalid with field and rule."""
    if violations := _validator.collect_violations(request):
        raise Invalid("; ".join(f"{_field(v)}: {v.proto.message or v.proto.rule_id}" for v in violations[:5]))


def guarded(rpc: str, rule: Rule, handler: UnaryHandler | StreamHandler, gate: Gate, *, streams: bool) -> Any:
    """The handler behind the gate, as connectrpc calls it: an `Unary`, or a `ServerStream` if it streams."""
    if streams:
        return _stream(rpc, rule, cast("StreamHandler", handler), gate)
    return _unary(rpc, rule, cast("UnaryHandler", handler), gate)


def _unary(rpc: str, rule: Rule, handler: UnaryHandler, gate: Gate) -> Unary:
    seconds: dict[str, Histogram] = {}  # by code: looking one up among the metrics costs more than observing

    async def call(request: Message, ctx: RequestContext[Any, Any]) -> Any:
        started = perf_counter()
        code = "ok"
        who: Principal = ANONYMOUS
        try:
            op = await gate.admit(rpc, rule, request, ctx)
            who = op.who
            return await handler(op, request)
        except Exception as e:
            error = to_connect(rpc, e)
            code = error.code.value
            raise error from e
        finally:
            took = perf_counter() - started
            if code not in seconds:
                seconds[code] = RPC_SECONDS.labels(rpc, code)
            seconds[code].observe(took)
            if code != "ok":
                _log.info("rpc", method=rpc, code=code, ms=round(took * 1000, 1), principal=str(who))

    return call


def _stream(rpc: str, rule: Rule, handler: StreamHandler, gate: Gate) -> ServerStream:
    async def call(request: Message, ctx: RequestContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            op = await gate.admit(rpc, rule, request, ctx)
            # Closed with its client, not whenever it is collected: it holds a subscription.
            messages = cast("AsyncGenerator[Any]", handler(op, request))
            async with aclosing(messages):
                with STREAMS_OPEN.labels(rpc).track_inprogress():
                    async for message in messages:
                        yield message
        except StreamOver:
            return  # a clean end: the SDK comes again, where it would give up for good on `canceled`
        except Exception as e:
            error = to_connect(rpc, e)
            _log.info("rpc", method=rpc, code=error.code.value)
            raise error from e

    return call


def to_connect(rpc: str, error: Exception) -> ConnectError:
    """What the caller is told. What is not one of the product's errors is a bug: logged whole, told as an id."""
    if isinstance(error, ConnectError):
        return error
    if isinstance(error, SignalboxError):
        if error.detail:
            _log.warning("refused", method=rpc, code=error.code, error=error.message, detail=error.detail)
        return ConnectError(Code(error.code), error.public)
    error_id = secrets.token_hex(6)
    _log.error("bug", method=rpc, error_id=error_id, exc_info=error)
    return ConnectError(Code.INTERNAL, f"internal error {error_id}")


def _field(violation: Any) -> str:
    elements = violation.proto.field.elements
    return ".".join(element.field_name for element in elements) or "request"
