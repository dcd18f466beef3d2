"""Hot services answer unary RPCs as connectrpc does: the same requests, to both, get the same answers."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2 as pb

from signalbox_wire.connect import ServiceApplication

LIMIT = 10_000
ENQUEUE = "/flyteidl2.actions.ActionsService/Enqueue"
GOOD = pb.EnqueueRequest(action=pb.Action(input_uri="s3://bucket/inputs.pb")).SerializeToString()
JSON = b'{"action": {"inputUri": "s3://bucket/inputs.pb"}}'
BINARY = {"content-type": "application/proto"}
SERVICE = pb.DESCRIPTOR.services_by_name["ActionsService"]


async def _enqueue(request: pb.EnqueueRequest, ctx: Any) -> pb.EnqueueResponse:
    match ctx.request_headers.get("x-wish", ""):
        case "refuse":
            raise ConnectError(Code.FAILED_PRECONDITION, "not »now«")
        case "dawdle":
            await asyncio.sleep(30)
        case _:
            assert request.action.input_uri == "s3://bucket/inputs.pb"
    return pb.EnqueueResponse()


def _client(*, hot: bool) -> httpx.AsyncClient:
    handlers = {method.name: _enqueue for method in SERVICE.methods}
    served: Any = ServiceApplication(SERVICE, handlers, read_max_bytes=LIMIT, hot=hot)
    return httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://localhost")


async def _answer(body: bytes, headers: dict[str, str], *, hot: bool, method: str = "POST") -> tuple[int, str, Any]:
    async with _client(hot=hot) as client:
        answer = await client.request(method, ENQUEUE, content=body, headers=headers)
    kind = answer.headers.get("content-type", "")
    return answer.status_code, kind, answer.json() if kind == "application/json" else answer.content


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(GOOD, BINARY, id="binary"),
        pytest.param(gzip.compress(GOOD), BINARY | {"content-encoding": "gzip"}, id="gzip, as the SDK sends it"),
        pytest.param(GOOD, BINARY | {"content-encoding": "identity"}, id="identity"),
        pytest.param(GOOD, BINARY | {"x-wish": "refuse"}, id="an error of the handler"),
        pytest.param(GOOD, BINARY | {"connect-timeout-ms": "5000"}, id="a timeout that is kept"),
        pytest.param(
            b'{"action": {"inputUri": "s3://bucket/inputs.pb"}}', {"content-type": "application/json"}, id="JSON"
        ),
        pytest.param(GOOD, {"content-type": "text/plain"}, id="no protocol"),
        pytest.param(GOOD, BINARY | {"content-encoding": "br"}, id="an encoding that nobody knows"),
    ],
)
async def test_hot_services_answer_as_the_others(body: bytes, headers: dict[str, str]) -> None:
    assert await _answer(body, headers, hot=True) == await _answer(body, headers, hot=False)


@pytest.mark.parametrize(
    ("body", "headers", "code", "words"),
    [
        pytest.param(b"\xff\xff\xff", BINARY, "invalid_argument", "cannot be parsed", id="unparsable"),
        pytest.param(GOOD, BINARY | {"content-encoding": "gzip"}, "invalid_argument", "gzip", id="not gzip"),
        pytest.param(
            gzip.compress(GOOD)[:-9], BINARY | {"content-encoding": "gzip"}, "invalid_argument", "missing",
            id="cut gzip",
        ),
        pytest.param(b"x" * (LIMIT + 1), BINARY, "resource_exhausted", f"max {LIMIT}", id="too large"),
        pytest.param(
            gzip.compress(b"x" * 10_000_000), BINARY | {"content-encoding": "gzip"}, "resource_exhausted",
            f"max {LIMIT}", id="too large when unpacked",
        ),
        pytest.param(
            GOOD, BINARY | {"connect-timeout-ms": "soon"}, "invalid_argument", "'soon'", id="a timeout in words"
        ),
        pytest.param(
            GOOD, BINARY | {"connect-timeout-ms": "20", "x-wish": "dawdle"}, "deadline_exceeded", "timeout",
            id="a timeout that is over",
        ),
    ],
)  # fmt: skip
async def test_bad_requests_are_refused_in_words(body: bytes, headers: dict[str, str], code: str, words: str) -> None:
    status, _, error = await _answer(body, headers, hot=True)

    assert status >= 400
    assert error["code"] == code, json.dumps(error)
    assert words in error["message"]


async def test_what_is_no_post_is_left_to_connectrpc() -> None:
    assert (await _answer(b"", {}, hot=True, method="GET"))[0] == (await _answer(b"", {}, hot=False, method="GET"))[0]
