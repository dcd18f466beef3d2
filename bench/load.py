"""A driver without the SDK: callers that enqueue over HTTP, each on its own connection, as fast as they are answered.

`python -m bench.load PORT RUN CALLERS SECONDS` prints JSON: answers by code, rates, and latencies in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

import uvloop
from flyteidl2.actions import actions_service_pb2

_NAME = "c000-0000000"
"""As long as every name here: requests are made by putting another one in its place."""


def body(run: str) -> bytes:
    """An EnqueueRequest of about the size that the SDK sends, for a child called `_NAME`."""
    name = _NAME
    request = actions_service_pb2.EnqueueRequest()
    action = request.action
    action.action_id.run.org, action.action_id.run.project = "local", "flytesnacks"
    action.action_id.run.domain, action.action_id.run.name = "development", run
    action.action_id.name, action.parent_action_name = name, "a0"
    action.input_uri, action.run_output_base = f"file:///objects/{run}/{name}/inputs.pb", f"file:///objects/{run}"
    task = action.task
    task.id.org, task.id.project, task.id.domain = "local", "flytesnacks", "development"
    task.id.name, task.id.version = "bench.leaf", "v1"
    task.spec.short_name = "leaf"
    task.spec.environment.name = "bench"
    template = task.spec.task_template
    template.id.name, template.type = "bench.leaf", "python"
    template.container.args.extend(["a0", "--inputs", "{{.input}}", *(f"--option-{i}=value-{i}" for i in range(60))])
    return request.SerializeToString()


async def call(port: int, run: str, caller: int, *, until: float, codes: Counter[str], took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        b"POST /flyteidl2.actions.ActionsService/Enqueue HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        b"content-type: application/proto\r\nconnect-protocol-version: 1\r\nx-request-id: bench\r\ncontent-length: "
    )
    template = body(run)
    head += str(len(template)).encode() + b"\r\n\r\n"
    number = 0
    while time.perf_counter() < until:
        number += 1
        request = template.replace(_NAME.encode(), b"c%03d-%07d" % (caller, number))
        started = time.perf_counter()
        writer.write(head + request)
        status = await reader.readuntil(b"\r\n\r\n")
        answer = await _body(reader, status.lower())
        took.append(time.perf_counter() - started)
        codes["ok" if status[9:12] == b"200" else json.loads(answer)["code"]] += 1
    writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Of an answer in one or no chunk, or of a stated length."""
    if b"transfer-encoding: chunked" in head:
        chunked = await reader.readuntil(b"0\r\n\r\n")
        return chunked.partition(b"\r\n")[2].removesuffix(b"\r\n0\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    return await reader.readexactly(length)


async def main(port: int, run: str, callers: int, seconds: float) -> None:
    codes: Counter[str] = Counter()
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(call(port, run, i, until=until, codes=codes, took=took) for i in range(callers)))
    span = time.perf_counter() - began
    took.sort()
    print(
        json.dumps(
            {
                "codes": codes,
                "ok_per_second": codes["ok"] / span,
                "p50_ms": took[len(took) // 2] * 1000,
                "p99_ms": took[len(took) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
