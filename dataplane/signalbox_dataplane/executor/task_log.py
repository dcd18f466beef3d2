"""Logs of attempts: written line by line while they run, readable at the same time, kept in the object store after.

One line of a log file is one printed line: its time (UTC, RFC 3339 with microseconds), a space, the text.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from signalbox_dataplane.errors import StoreError
from signalbox_dataplane.executor import ActionKey, Attempt
from signalbox_dataplane.store import ObjectStore

LONGEST_LINE = 16 * 1024
MOST_BYTES = 256 * 1024**2
KEPT_LINES = 50
log = structlog.get_logger()


class TaskLog:
    """The log of one running attempt."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file = path.open("ab", buffering=0)
        self.size = self._file.tell()
        self._rest = b""
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._changed = asyncio.Event()

    @property
    def last_lines(self) -> str:
        return "\n".join(self._last)

    def feed(self, chunk: bytes, at: datetime) -> None:
        """Take what was printed, as it comes; lines longer than LONGEST_LINE are split."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        self._write(lines, at)

    def close(self, at: datetime) -> None:
        if self._rest:
            self._write([self._rest], at)
            self._rest = b""
        self._file.close()
        self.closed = True
        self._notify()

    async def grown(self, beyond: int, *, within: float) -> None:
        """Wait until the file is longer than `beyond` bytes, or closed, at most `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.size <= beyond and not self.closed:
                    await self._changed.wait()

    def _write(self, lines: list[bytes], at: datetime) -> None:
        if not lines:
            return
        stamp = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        texts = [line.rstrip(b"\r").decode(errors="replace") for line in lines]
        self._last.extend(texts)
        content = "".join(f"{stamp} {text}\n" for text in texts).encode()
        if self.size < MOST_BYTES <= self.size + len(content):
            content = f"{stamp} [signalbox] the log ends here: it reached {MOST_BYTES} bytes\n".encode()
            self.size = MOST_BYTES
        elif self.size >= MOST_BYTES:
            return
        self._file.write(content)
        self.size += len(content)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class TaskLogs:
    """Where logs of attempts are: live here, on disk until they were stored, then in the object store."""

    def __init__(self, directory: Path, store: ObjectStore) -> None:
        self._directory = directory
        self._store = store
        self._live: dict[tuple[ActionKey, int], TaskLog] = {}

    def live(self, action: ActionKey, attempt: int) -> TaskLog | None:
        return self._live.get((action, attempt))

    def path(self, action: ActionKey, attempt: int) -> Path:
        """File of a log that runs, or could not be stored."""
        return self._directory.joinpath(
            *(part.replace("/", "_").replace("..", "_") for part in action), f"{attempt}.log"
        )

    @asynccontextmanager
    async def writing(self, attempt: Attempt) -> AsyncGenerator[TaskLog]:
        """The log of an attempt that runs; at the end it is stored as `task.log` in the attempt's folder.

        A log that cannot be stored stays on disk: it never decides about the attempt.
        """
        action, number = attempt.key.action, attempt.key.attempt
        task_log = TaskLog(self.path(action, number))
        self._live[action, number] = task_log
        try:
            yield task_log
        finally:
            task_log.close(datetime.now(UTC))
            try:
                await self._store.put_file(attempt.log_uri, task_log.path)
                task_log.path.unlink()
            except (StoreError, OSError) as error:
                log.warning("log_not_stored", uri=attempt.log_uri, kept=str(task_log.path), error=str(error))
            finally:
                if self._live.get((action, number)) is task_log:
                    del self._live[action, number]
