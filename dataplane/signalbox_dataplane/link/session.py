"""The session with the control plane: takes grants and aborts from the lease stream, and knows when to start anew.

A session id names what one process holds since its start, or since its last fence. Another session of the same cluster
means that another agent took over: then this one stops everything and ends.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing

import structlog
from connectrpc.errors import ConnectError
from flyteidl2.task.task_definition_pb2 import TaskSpec

from signalbox_dataplane.backoff import delays
from signalbox_dataplane.control_plane import CREDENTIAL_REFUSED, ClusterLink
from signalbox_dataplane.errors import REPLACED, Exit
from signalbox_dataplane.executor import Attempt, AttemptKey
from signalbox_dataplane.link.fence import Fence
from signalbox_dataplane.link.held import Attempts
from signalbox_dataplane.link.identity import Identity
from signalbox_dataplane.link.reports import Reports, is_terminal, key_of
from signalbox_wire.cluster.v1.cluster_pb2 import (
    AttemptReport,
    ClusterFacts,
    Grants,
    LeaseRequest,
    LeaseResponse,
    Outcome,
    Progress,
    RunContext,
)

SILENCE = 30.0
"""Seconds without a message (progress comes every ten) after which a stream counts as dead."""
COUNTS_NO_MORE = (Outcome.OUTCOME_STALE_EPOCH, Outcome.OUTCOME_UNKNOWN_ACTION, Outcome.OUTCOME_TERMINAL_ALREADY)
log = structlog.get_logger()


class Session:
    """Wire up with `bind` before use: reports tell the session, and attempts write reports."""

    def __init__(self, link: ClusterLink, identity: Identity, fence: Fence, facts: ClusterFacts, capacity: int) -> None:
        self.session_id = uuid.uuid4().hex
        self.linked = asyncio.Event()
        """Set while a lease stream of this session has answered before."""
        self._link = link
        self._identity = identity
        self._fence = fence
        self._facts = facts
        self._capacity = capacity
        self._stream: asyncio.Timeout | None = None
        self._may_lease = asyncio.Event()
        self._may_lease.set()
        self._replaced = asyncio.Event()

    def bind(self, reports: Reports, attempts: Attempts) -> None:
        self._reports = reports
        self._attempts = attempts

    async def leased(self) -> str:
        await self.linked.wait()
        return self.session_id

    def on_outcome(self, report: AttemptReport, outcome: Outcome, reason: str) -> None:
        key = key_of(report)
        if outcome in COUNTS_NO_MORE:
            log.info("attempt_counts_no_more", action=key.action, attempt=key.attempt, outcome=Outcome.Name(outcome))
            self._attempts.drop(key)
        elif is_terminal(report):
            self._attempts.acknowledged(key)
        if outcome in (Outcome.OUTCOME_INVALID, Outcome.OUTCOME_UNSPECIFIED):
            log.error("report_invalid", action=key.action, attempt=key.attempt, phase=report.event.phase, reason=reason)

    def on_refused(self) -> None:
        self._end_stream()  # the next stream is refused as well, and that enrols again

    def on_replaced(self) -> None:
        self._replaced.set()

    async def until_replaced(self) -> None:
        """Raises Exit when another agent took this cluster over."""
        await self._replaced.wait()
        raise Exit(REPLACED, "another agent opened a newer session of this cluster: everything here was stopped")

    async def lease_for_ever(self) -> None:
        retries = delays()
        while True:
            await self._may_lease.wait()
            await self._identity.ensure()
            self._attempts.cluster = self._identity.cluster
            lived, credential = asyncio.Event(), self._link.credential
            try:
                async with asyncio.timeout(None) as self._stream:
                    await self._lease(lived)
                why = "ended"
            except TimeoutError:
                why = "silent"
            except ConnectError as error:
                why = f"{error.code.value}: {error.message}"
                if (
                    error.code in CREDENTIAL_REFUSED and credential == self._link.credential
                ):  # else it was renewed since
                    await self._enrol_again(error)
                    continue
            finally:
                self._stream = None
            retries = delays() if lived.is_set() else retries
            delay = next(retries)
            log.info("lease_stream_over", why=why, again_in=round(delay, 2))
            await asyncio.sleep(delay)

    async def fence_for_ever(self) -> None:
        """Whenever no report is acknowledged in time: stop all that runs, then start a new session."""
        while True:
            await self._fence.fallen()
            log.warning("fenced", held=len(self._attempts.refs()))
            await self._start_anew()

    async def _start_anew(self) -> None:
        self._may_lease.clear()
        self.linked.clear()
        self._end_stream()
        await self._attempts.stop_running()
        self.session_id = uuid.uuid4().hex
        self._fence.restart()
        self._may_lease.set()

    async def _enrol_again(self, error: ConnectError) -> None:
        before = self._identity.cluster
        await self._identity.refused(error)
        if self._identity.cluster != before:  # what is held belongs to a cluster that we are not any more
            await self._start_anew()

    def _end_stream(self) -> None:
        if self._stream is not None and not self._stream.expired():
            self._stream.reschedule(asyncio.get_running_loop().time())

    async def _lease(self, lived: asyncio.Event) -> None:
        request = LeaseRequest(
            session_id=self.session_id, facts=self._facts, held=self._attempts.refs(), capacity=self._capacity
        )
        known = _Known()
        async with aclosing(self._link.lease(request, silence=SILENCE)) as stream:
            async for message in stream:
                lived.set()
                if request.session_id == self.session_id:
                    self.linked.set()
                self._take(message, known)

    def _take(self, message: LeaseResponse, known: _Known) -> None:
        match message.WhichOneof("message"):
            case "grants":
                for attempt in known.attempts(message.grants):
                    self._attempts.grant(attempt)
            case "aborts":
                for abort in message.aborts.aborts:
                    self._attempts.abort(abort)
            case "progress":
                self._progress(message.progress)
            case _:
                log.warning("lease_message_unknown")

    def _progress(self, progress: Progress) -> None:
        if progress.HasField("fence_after"):
            self._fence.update(progress.fence_after.ToTimedelta().total_seconds())
        if progress.HasField("report_every"):
            self._reports.heartbeat = progress.report_every.ToTimedelta().total_seconds()


class _Known:
    """What one stream has told: specs and runs travel once, grants only name them."""

    def __init__(self) -> None:
        self._specs: dict[bytes, TaskSpec] = {}
        self._runs: dict[tuple[str, str, str, str], RunContext] = {}

    def attempts(self, grants: Grants) -> list[Attempt]:
        """Grants made whole, in their order. One that names what was never told is left out, so it is granted anew."""
        self._specs |= {entry.digest: entry.spec for entry in grants.task_specs}
        for run in grants.runs:
            self._runs[run.run_id.org, run.run_id.project, run.run_id.domain, run.run_id.name] = run
        whole: list[Attempt] = []
        for grant in grants.grants:
            key = AttemptKey.of(grant.ref)
            spec, run = self._specs.get(grant.task_spec_digest), self._runs.get(key.action[:4])
            if spec is None or run is None:
                log.error("grant_incomplete", action=key.action, spec_known=spec is not None, run_known=run is not None)
                continue
            whole.append(
                Attempt(key=key, grant=grant, spec=spec, run_spec=run.run_spec, run_start_time=run.run_start_time)
            )
        return whole
