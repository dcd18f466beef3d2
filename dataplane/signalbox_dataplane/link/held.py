"""The attempts that this cluster holds: granted, and not yet reported terminal and acknowledged.

A grant starts an attempt once, whatever is granted twice. A newer epoch of the same attempt ends the older one. Only
an attempt that ended by itself, or was aborted on request, is reported; one that was stopped because it counts no more
(fence, stale epoch, shutdown) leaves no word.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from signalbox_dataplane.executor import Attempt, AttemptKey, Executor, Outcome, Started, system_error
from signalbox_dataplane.executor.sleep import TASK_TYPE as SLEEP
from signalbox_dataplane.executor.slots import Slots
from signalbox_dataplane.link import events
from signalbox_dataplane.link.reports import Reports
from signalbox_wire.cluster.v1.cluster_pb2 import Abort, AttemptRef, AttemptReport

log = structlog.get_logger()


@dataclass(kw_only=True, slots=True)
class _Holding:
    attempt: Attempt
    task: asyncio.Task[Outcome] | None = None
    started_at: datetime | None = None
    abort_asked: str = ""
    dropped: bool = False


class Attempts:
    """Runs granted attempts as tasks of `group` and hands their ends to `reports`."""

    def __init__(
        self, group: asyncio.TaskGroup, reports: Reports, slots: Slots, *, process: Executor, sleep: Executor
    ) -> None:
        self._group = group
        self._reports = reports
        self._slots = slots
        self._process = process
        self._sleep = sleep
        self._held: dict[AttemptKey, _Holding] = {}
        self.cluster = ""

    def refs(self) -> list[AttemptRef]:
        """All that is held, for a new lease stream."""
        return [holding.attempt.grant.ref for holding in self._held.values()]

    def grant(self, attempt: Attempt) -> None:
        if attempt.key in self._held:
            return
        for key in list(self._held):
            if key.action == attempt.key.action and key < attempt.key:
                self.drop(key)
        holding = _Holding(attempt=attempt)
        self._held[attempt.key] = holding
        if attempt.parent:
            self._slots.child_arrived(attempt.parent)
        holding.task = self._group.create_task(self._run(holding))
        holding.task.add_done_callback(lambda task: self._ended(holding, task))

    def abort(self, abort: Abort) -> None:
        """Stop one attempt and report it ABORTED, also when there is nothing of it here (any more)."""
        key = AttemptKey.of(abort.ref)
        holding = self._held.get(key)
        if holding is None:
            self._reports.add(events.aborted(abort.ref, None, self.cluster))
        elif holding.task and not holding.task.done() and not holding.abort_asked:
            log.info("abort", action=key.action, attempt=key.attempt, reason=abort.reason)
            holding.abort_asked = abort.reason or "abort"
            holding.task.cancel()

    def drop(self, key: AttemptKey) -> None:
        """Stop an attempt that counts no more; nothing of it is reported."""
        holding = self._held.pop(key, None)
        self._reports.drop(key)
        if holding is not None and holding.task is not None:
            holding.dropped = True
            holding.task.cancel()

    def acknowledged(self, key: AttemptKey) -> None:
        """Its terminal report arrived: it is no longer held."""
        self._held.pop(key, None)

    async def stop_running(self) -> None:
        """Stop all that runs or waits, and return when nothing is left. What has ended stays to be reported."""
        tasks: list[asyncio.Task[Outcome]] = []
        for key, holding in list(self._held.items()):
            if holding.task is not None and not holding.task.done():
                tasks.append(holding.task)
                self.drop(key)
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, holding: _Holding) -> Outcome:
        def on_start(started: Started) -> None:
            holding.started_at = started.at
            self._reports.add(events.running(attempt, started, self.cluster))

        attempt = holding.attempt
        is_sleep = attempt.spec.task_template.type == SLEEP
        try:
            return await (self._sleep if is_sleep else self._process).run(attempt, on_start)
        except Exception as error:  # a mistake in an executor must end its attempt, not the agent
            log.exception("executor_failed", action=attempt.key.action, attempt=attempt.key.attempt)
            return system_error("ExecutorFailed", f"the data plane failed to run the task: {type(error).__name__}")

    def _ended(self, holding: _Holding, task: asyncio.Task[Outcome]) -> None:
        attempt = holding.attempt
        if attempt.parent:
            self._slots.child_left(attempt.parent)
        if holding.dropped:
            return
        report: AttemptReport
        if not task.cancelled():
            report = events.ended(attempt, task.result(), holding.started_at, self.cluster)
        elif holding.abort_asked:
            report = events.aborted(attempt.grant.ref, holding.started_at, self.cluster, reason=holding.abort_asked)
        else:
            self._held.pop(attempt.key, None)
            return
        self._reports.add(report)
