"""Reports on their way to the control plane: kept in memory until each is acknowledged, in order for each attempt.

One request is in flight at a time; what arises meanwhile goes with the next. A request that failed is repeated with the
same content, so that a lost reply counts nothing twice. One that is *refused* is not: its reports go in halves, so that
one of them stops nobody else's. A terminal report replaces a RUNNING that was not sent yet: the SDK would log a warning
for each in-between state.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import structlog
from connectrpc.errors import ConnectError
from flyteidl2.common.phase_pb2 import ACTION_PHASE_RUNNING

from signalbox_dataplane.backoff import delays, until_answered
from signalbox_dataplane.control_plane import CREDENTIAL_REFUSED
from signalbox_dataplane.executor import AttemptKey
from signalbox_dataplane.link import refusals
from signalbox_dataplane.link.fence import Fence
from signalbox_wire.cluster.v1.cluster_pb2 import AttemptRef, AttemptReport, Outcome, ReportRequest, ReportResponse
from signalbox_wire.connect import Code

BATCH = 500
BATCH_BYTES = 1024 * 1024
LEAST_BYTES = 32 * 1024
DEFAULT_HEARTBEAT = 5.0
REFUSED = (Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNKNOWN)
"""What a control plane answers to a batch that is too much for it, malformed, or beyond what it can digest."""
log = structlog.get_logger()


class Reporter(Protocol):
    async def report(self, request: ReportRequest) -> ReportResponse: ...


def is_terminal(report: AttemptReport) -> bool:
    return report.event.phase != ACTION_PHASE_RUNNING


def key_of(report: AttemptReport) -> AttemptKey:
    return AttemptKey.of(AttemptRef(action_id=report.event.id, attempt=report.event.attempt, epoch=report.epoch))


class Listener(Protocol):
    """Who learns what became of reports."""

    @property
    def session_id(self) -> str: ...

    async def leased(self) -> str:
        """The session's id, once a lease stream of it has answered: before, the control plane does not know it."""
        ...

    def on_outcome(self, report: AttemptReport, outcome: Outcome, reason: str) -> None:
        """The report was acknowledged; `reason`: why it counts for nothing, in words, if the control plane says so."""
        ...

    def on_refused(self) -> None:
        """The control plane does not take the credential; the report is tried again all the same."""
        ...

    def on_replaced(self) -> None:
        """The current session was replaced by another process's."""
        ...


class _Refused(Exception):
    """The control plane does not take these reports together."""

    def __init__(self, error: ConnectError) -> None:
        super().__init__(error.message)
        self.code = error.code
        self.message = error.message


class Reports:
    def __init__(self, link: Reporter, fence: Fence, listener: Listener) -> None:
        self._link = link
        self._fence = fence
        self._listener = listener
        self._waiting: dict[AttemptKey, list[AttemptReport]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._largest = BATCH_BYTES
        self._retries = delays()
        self.heartbeat = DEFAULT_HEARTBEAT

    def add(self, report: AttemptReport) -> None:
        report = refusals.within_limit(report)
        key = key_of(report)
        queued = self._waiting.get(key)
        if queued is None or is_terminal(report):
            self._waiting[key] = [report]
        else:
            queued.append(report)
        self._idle.clear()
        self._wake.set()

    def drop(self, key: AttemptKey) -> None:
        """Forget what was not sent yet of an attempt that counts no more."""
        self._waiting.pop(key, None)

    async def send_for_ever(self) -> None:
        """Send what arises at once, and a heartbeat when nothing does."""
        while True:
            if not self._waiting:
                self._idle.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.heartbeat):
                        await self._wake.wait()
            self._wake.clear()
            await self._send(self._take())

    async def flushed(self) -> None:
        """Returns when nothing waits for an acknowledgement."""
        await self._idle.wait()

    def _take(self) -> list[AttemptReport]:
        keys: list[AttemptKey] = []
        size = 0
        for key, reports in self._waiting.items():
            size += sum(report.ByteSize() for report in reports)
            if len(keys) == BATCH or (keys and size > self._largest):
                break
            keys.append(key)
        return [report for key in keys for report in self._waiting.pop(key)]

    async def _send(self, batch: list[AttemptReport]) -> None:
        """Until each report is answered, or waits again. A heartbeat goes before what was refused: the link is well."""
        parts = [batch]
        while parts:
            part = parts.pop()
            try:
                reply = await self._answer(part)
            except _Refused as refused:
                smaller = self._smaller(part, refused)
                if refused.code != Code.INVALID_ARGUMENT or not smaller:  # else time would not help
                    await asyncio.sleep(next(self._retries))
                parts += [*smaller, []]
                continue
            if not reply.session_current:
                self._listener.on_replaced()
                return
            if part:
                self._retries = delays()
                self._largest = min(BATCH_BYTES, self._largest + BATCH_BYTES // 64)
            reasons = reply.reasons if len(reply.reasons) == len(part) else [""] * len(part)
            for report, outcome, reason in zip(part, reply.outcomes, reasons, strict=True):
                self._listener.on_outcome(report, outcome, reason)

    def _smaller(self, part: list[AttemptReport], refused: _Refused) -> list[list[AttemptReport]]:
        """What to send instead, last first."""
        if len(part) > 1:
            self._largest = max(LEAST_BYTES, self._largest // 2)
            return [part[len(part) // 2 :], part[: len(part) // 2]]
        (report,) = part
        if refused.code == Code.INVALID_ARGUMENT:
            following = refusals.instead(report, refused.message)
            if following is not None:
                return [[following]]
            if not is_terminal(report):
                log.error("report_dropped", action=key_of(report).action, error=refused.message)
                return []  # its end tells all that it would have told
        # The control plane has too much to do, or cannot digest this one: it waits, and the others go on.
        self._waiting[key_of(report)] = [report, *self._waiting.pop(key_of(report), [])]
        return []

    async def _answer(self, batch: list[AttemptReport]) -> ReportResponse:
        """The answer to this batch, however often it must be sent. Raises _Refused."""

        async def send() -> ReportResponse:
            session, sent_at = await self._listener.leased(), self._fence.now()
            reply = await self._link.report(ReportRequest(session_id=session, reports=batch))
            if not reply.session_current:
                if session != self._listener.session_id:  # we started anew meanwhile: no other agent did this
                    raise ConnectError(Code.ABORTED, "sent in a session that is over")
                return reply
            if len(reply.outcomes) != len(batch):
                raise ConnectError(Code.DATA_LOSS, f"got {len(reply.outcomes)} outcomes for {len(batch)} reports")
            self._fence.acknowledged(sent_at)
            return reply

        def failed(error: ConnectError) -> None:
            log.warning("report_waits", reports=len(batch), code=error.code.value, error=error.message)
            if error.code in CREDENTIAL_REFUSED:
                self._listener.on_refused()
            if batch and error.code in REFUSED:
                raise _Refused(error)

        return await until_answered(send, failed)
