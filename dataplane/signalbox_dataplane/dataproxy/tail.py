"""TailLogs: the log of one attempt, followed while it runs, and ended when the attempt is over and all was sent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

from connectrpc.errors import ConnectError
from flyteidl2.dataproxy.dataproxy_service_pb2 import TailLogsRequest, TailLogsResponse
from flyteidl2.logs.dataplane.payload_pb2 import USER, LogLine
from flyteidl2.workflow.run_definition_pb2 import ActionAttempt

from signalbox_dataplane.control_plane import Directory
from signalbox_dataplane.dataproxy.action_data import attempt_of, check_action, folder_of
from signalbox_dataplane.dataproxy.answers import invalid, missing
from signalbox_dataplane.errors import ObjectMissing
from signalbox_dataplane.executor import LOG_NAME, ActionKey
from signalbox_dataplane.executor.task_log import TaskLog, TaskLogs
from signalbox_dataplane.store import ObjectStore, join
from signalbox_wire.connect import Code

QUIET = 10.0
"""Seconds after which an empty message is sent: only then is a client noticed that has gone."""
BATCH_BYTES = 256 * 1024


class LogTail:
    def __init__(self, store: ObjectStore, directory: Directory, logs: TaskLogs, stopping: asyncio.Event) -> None:
        self._store = store
        self._directory = directory
        self._logs = logs
        self._stopping = stopping

    async def tail(self, request: TailLogsRequest) -> AsyncIterator[TailLogsResponse]:
        """Batches of lines. Raises NOT_FOUND before the first message when the attempt has no log (yet)."""
        check_action(request.action_id)
        if request.attempt < 1:
            invalid(f"attempt: got {request.attempt}, wanted 1 or more")
        # asked also for a log that is at hand: the control plane decides who may see the action, and fills its org
        details = await self._directory.action(request.action_id)
        run = details.id.run
        action = ActionKey(run.org, run.project, run.domain, run.name, details.id.name)
        live = self._logs.live(action, request.attempt)
        if live is not None:
            chunks = self._follow(live)
        else:
            chunks = _chunks(await self._stored(action, attempt_of(details, request.attempt)))
        yield TailLogsResponse()  # headers reach the client with the first message, not before
        async for chunk in chunks:
            lines = list(_lines(chunk))
            yield TailLogsResponse(logs=[TailLogsResponse.Logs(lines=lines)] if lines else [])

    async def _follow(self, log: TaskLog) -> AsyncIterator[bytes]:
        """Whole lines as they are written; an empty chunk when there are none for a while."""
        with log.path.open("rb") as file:
            offset = 0
            while True:
                over = log.closed
                chunk = await asyncio.to_thread(_whole_lines, file.fileno(), offset)
                offset += len(chunk)
                if chunk:
                    yield chunk
                elif over:
                    return
                elif self._stopping.is_set():
                    raise ConnectError(Code.UNAVAILABLE, "the data plane is shutting down")
                else:
                    await log.grown(offset, within=QUIET)
                    if log.size <= offset and not log.closed:
                        yield b""

    async def _stored(self, action: ActionKey, attempt: ActionAttempt) -> bytes:
        """The log of an attempt that does not run here: from the store, or from disk when it could not be stored."""
        named = next((link.uri for link in attempt.log_info if link.name == LOG_NAME), "")
        try:
            return await self._store.get(named or join(folder_of(attempt), LOG_NAME))
        except ObjectMissing:
            return await asyncio.to_thread(_read_kept, self._logs.path(action, attempt.attempt))


def _read_kept(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        missing("this attempt has no log (yet)")


def _whole_lines(descriptor: int, offset: int) -> bytes:
    chunk = os.pread(descriptor, BATCH_BYTES, offset)
    return chunk[: chunk.rfind(b"\n") + 1]


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", min(start + BATCH_BYTES, len(content)) - 1) + 1 or len(content)
        yield content[start:end]
        start = end


def _lines(chunk: bytes) -> Iterator[LogLine]:
    for text in chunk.decode(errors="replace").split("\n"):
        stamp, _, message = text.partition(" ")
        if not stamp:
            continue
        line = LogLine(message=message, originator=USER)
        try:
            line.timestamp.FromDatetime(datetime.fromisoformat(stamp))
        except ValueError:  # the end of a log whose writer was killed
            line.message = text
        yield line
