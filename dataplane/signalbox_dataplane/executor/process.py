"""The `process` executor: an attempt is a local process group that runs the container's command, without a container.

When `run` returns or is cancelled, no process of the group is left. Processes that leave their group (setsid) escape;
only a container can hold those.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from flyteidl2.core.tasks_pb2 import TaskTemplate

from signalbox_dataplane.errors import StoreError
from signalbox_dataplane.executor import (
    Attempt,
    OnStart,
    Outcome,
    Started,
    bundle_uri,
    exit_protocol,
    system_error,
    templates,
    user_error,
    utc_now,
)
from signalbox_dataplane.executor.environment import TaskPlatform, task_environment
from signalbox_dataplane.executor.exit_protocol import ProcessExit
from signalbox_dataplane.executor.guardian import ANNOUNCE, Guardian
from signalbox_dataplane.executor.slots import Slots
from signalbox_dataplane.executor.task_log import TaskLog, TaskLogs
from signalbox_dataplane.store import ObjectStore

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
DRAIN = 1.0
"""Seconds to read what is left in the pipe, should a process outside of the group hold it open."""


class ProcessExecutor:
    def __init__(
        self,
        *,
        store: ObjectStore,
        platform: TaskPlatform,
        slots: Slots,
        logs: TaskLogs,
        guardian: Guardian,
        work_dir: Path,
    ) -> None:
        self._store = store
        self._platform = platform
        self._slots = slots
        self._logs = logs
        self._guardian = guardian
        self._work_dir = work_dir

    async def run(self, attempt: Attempt, on_start: OnStart) -> Outcome:
        refusal = _refusal(attempt.spec.task_template)
        if refusal:
            return user_error("UnsupportedTask", refusal)
        async with self._slots.slot(attempt.key.action):
            try:
                await exit_protocol.clear(self._store, attempt.grant.output_uri)
            except StoreError as error:
                return system_error("StoreUnavailable", str(error))
            try:
                async with _cwd(self._work_dir, attempt) as cwd, self._logs.writing(attempt) as log:
                    ended = await self._execute(attempt, cwd, log, on_start)
            except OSError as error:
                return system_error("CannotStart", f"the process cannot be started: {error}")
            return await exit_protocol.outcome(self._store, attempt.grant.output_uri, ended)

    async def _execute(self, attempt: Attempt, cwd: Path, log: TaskLog, on_start: OnStart) -> ProcessExit:
        container = attempt.spec.task_template.container
        command = templates.render([*container.command, *container.args], templates.values(attempt))
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", ANNOUNCE, "sh", *command,
            stdin=self._guardian.pipe,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=task_environment(attempt, self._platform),
            cwd=cwd,
            start_new_session=True,
        )  # fmt: skip
        output = asyncio.create_task(_copy(process, log))
        try:
            on_start(Started(at=utc_now(), has_log=True, what=f"process {process.pid}"))
            code = await process.wait()
        finally:
            await self._stop(process)
            await _finish(output)
        return ProcessExit(code=code, last_lines=log.last_lines)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        """End the whole group: politely if its leader still runs, then for good. Holds under further cancellation."""
        try:
            if process.returncode is None:
                _signal(process.pid, signal.SIGTERM)
                async with asyncio.timeout(GRACE):
                    await process.wait()
        except TimeoutError:
            pass
        finally:
            _signal(process.pid, signal.SIGKILL)
            self._guardian.forget(process.pid)


def _refusal(template: TaskTemplate) -> str | None:
    """Why this executor cannot run a task, if so."""
    if template.WhichOneof("target") != "container":
        target = template.WhichOneof("target") or "nothing"
        return f"the process executor runs containers' commands, got a task of {target} (type {template.type!r})"
    container = template.container
    if container.data_config.enabled:
        return "raw container tasks exchange files with a container: the process executor has none"
    if not container.command and not container.args:
        return "the task's container has neither command nor args"
    return None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, for a group of zombies
        os.killpg(group, number)


async def _copy(process: asyncio.subprocess.Process, log: TaskLog) -> None:
    if process.stdout is None:
        raise ValueError("the process has no pipe for its output")
    while chunk := await process.stdout.read(64 * 1024):
        log.feed(chunk, utc_now())


async def _finish(output: asyncio.Task[None]) -> None:
    _, pending = await asyncio.wait([output], timeout=DRAIN)
    for task in pending:
        task.cancel()


@asynccontextmanager
async def _cwd(work_dir: Path, attempt: Attempt) -> AsyncGenerator[Path]:
    """Where a task runs. Actions of one code bundle share a directory: the SDK unpacks a bundle once under a lock."""
    bundle = bundle_uri(attempt.spec)
    if bundle:
        shared = work_dir / "bundles" / hashlib.sha256(bundle.encode()).hexdigest()[:32]
        shared.mkdir(parents=True, exist_ok=True)
        yield shared
        return
    action = attempt.key.action
    own = work_dir / "attempts" / f"{action.run}-{action.name}-{attempt.key.attempt}-{attempt.key.epoch}"
    own.mkdir(parents=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
