"""A control plane in memory, for tests of the data plane: grants what a test says and records what is reported.

It keeps the contract of the cluster link (specs once a stream, what is not held is granted anew, a terminal report
absorbs) and answers what the dataproxy asks. It runs in the test's own event loop, on a loopback port.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import ActionIdentifier, RunIdentifier
from flyteidl2.common.phase_pb2 import ACTION_PHASE_RUNNING, ActionPhase
from flyteidl2.task import task_service_pb2
from flyteidl2.task.run_pb2 import RunSpec
from flyteidl2.task.task_definition_pb2 import TaskDetails, TaskSpec
from flyteidl2.task.task_service_pb2 import GetTaskDetailsResponse
from flyteidl2.workflow import run_service_pb2
from flyteidl2.workflow.run_definition_pb2 import ActionAttempt, ActionDetails
from flyteidl2.workflow.run_service_pb2 import GetActionDataURIsResponse, GetActionDetailsResponse
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.applications import Starlette
from starlette.routing import Mount

from signalbox_wire.cluster.v1 import cluster_pb2
from signalbox_wire.cluster.v1.cluster_pb2 import (
    Abort,
    Aborts,
    AttemptRef,
    AttemptReport,
    Credential,
    EnrollResponse,
    Grant,
    Grants,
    LeaseResponse,
    Outcome,
    Progress,
    RenewResponse,
    ReportResponse,
    RunContext,
    TaskSpecEntry,
)
from signalbox_wire.connect import Code, ServiceApplication

JOIN_TOKEN = "join-me"
LINK = cluster_pb2.DESCRIPTOR.services_by_name["ClusterLinkService"]
RUNS = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
TASKS = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]
START = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
Key = tuple[str, int, int]


@dataclass
class StubControlPlane:
    """Keys are (action name, attempt, epoch)."""

    storage: str
    fence_after: float = 24.0
    report_every: float = 0.2
    credential_life: timedelta = timedelta(hours=1)
    cluster: str = "local-1"
    url: str = ""
    down: bool = False
    drop_report_replies: int = 0
    repeat_grants: bool = False
    session_current: bool = True
    request_limit: int = 64 * 1024**2
    refusals: dict[str, Code] = field(default_factory=dict[str, Code])
    """By action: a batch with a report of it is refused as a whole."""
    refuses: Callable[[AttemptReport], bool] = lambda _: False
    """Of each report: whether a batch with it is malformed."""
    reasons: list[str] = field(default_factory=list[str])
    batches: list[int] = field(default_factory=list[int])
    """How many reports each request had that was taken."""
    outcomes: dict[Key, Outcome] = field(default_factory=dict[Key, Outcome])
    grants: dict[Key, Grant] = field(default_factory=dict[Key, Grant])
    specs: dict[bytes, TaskSpec] = field(default_factory=dict[bytes, TaskSpec])
    run_spec: RunSpec = field(default_factory=RunSpec)
    reports: list[AttemptReport] = field(default_factory=list[AttemptReport])
    received: list[bytes] = field(default_factory=list[bytes])
    terminal: dict[Key, AttemptReport] = field(default_factory=dict[Key, AttemptReport])
    sessions: list[str] = field(default_factory=list[str])
    held: list[list[Key]] = field(default_factory=list[list[Key]])
    tokens: list[str] = field(default_factory=list[str])
    enrolled_with: list[str] = field(default_factory=list[str])
    renewed_with: list[str] = field(default_factory=list[str])
    callers: list[str | None] = field(default_factory=list[str | None])
    tasks: dict[str, TaskSpec] = field(default_factory=dict[str, TaskSpec])
    attempts: dict[str, list[ActionAttempt]] = field(default_factory=dict[str, list[ActionAttempt]])
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _aborts: list[Abort] = field(default_factory=list[Abort])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # ---- what a test does

    def grant(
        self, action: str, spec: TaskSpec, *, attempt: int = 1, epoch: int = 1, parent: str = "", previous: str = ""
    ) -> Key:
        digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).digest()
        self.specs[digest] = spec
        base = f"{self.storage}/runs/r1"
        self.grants[action, attempt, epoch] = Grant(
            ref=AttemptRef(action_id=action_id(action), attempt=attempt, epoch=epoch),
            parent_action_name=parent,
            task_spec_digest=digest,
            input_uri=f"{base}/{action}/inputs.pb",
            run_output_base=base,
            output_uri=f"{base}/{action}/{attempt}",
            previous_output_uri=previous,
        )
        self._notify()
        return action, attempt, epoch

    def abort(self, action: str, *, attempt: int = 1, epoch: int = 1) -> None:
        ref = AttemptRef(action_id=action_id(action), attempt=attempt, epoch=epoch)
        self._aborts.append(Abort(ref=ref, reason="asked"))
        self._notify()

    def stop_answering(self) -> None:
        self.down = True
        self._notify()

    def invalidate_credentials(self) -> None:
        self.tokens.clear()
        self._notify()

    def phases(self, action: str) -> list[ActionPhase]:
        return [report.event.phase for report in self.reports if report.event.id.name == action]

    async def ended(self, *actions: str, within: float = 20) -> list[AttemptReport]:
        """Terminal reports of these actions, in their order, once all are there."""

        def found() -> list[AttemptReport]:
            by_name = {key[0]: report for key, report in self.terminal.items()}
            return [by_name[name] for name in actions if name in by_name]

        await self.until(lambda: len(found()) == len(actions), within=within)
        return found()

    async def until(self, holds: Callable[[], bool], *, within: float = 20) -> None:
        """Wait until something holds of this control plane."""
        try:
            async with asyncio.timeout(within):
                while not holds():
                    await self._changed.wait()
        except TimeoutError:
            seen = [
                (r.event.id.name, ActionPhase.Name(r.event.phase), r.event.error_info.message) for r in self.reports
            ]
            raise AssertionError(f"not within {within} s; reported so far: {seen}") from None

    # ---- the cluster link

    async def enroll(self, request: Any, _: Any) -> EnrollResponse:
        self._answering()
        self.enrolled_with.append(request.join_token)
        if request.join_token != JOIN_TOKEN:
            raise ConnectError(Code.PERMISSION_DENIED, "no such join token")
        return EnrollResponse(org="local", cluster=self.cluster, credential=self._credential())

    async def renew(self, _: Any, context: Any) -> RenewResponse:
        self.renewed_with.append(self._authenticate(context))
        self._notify()
        return RenewResponse(credential=self._credential())

    async def lease(self, request: Any, context: Any) -> AsyncIterator[LeaseResponse]:
        self._authenticate(context)
        self.sessions.append(request.session_id)
        held = [(ref.action_id.name, ref.attempt, ref.epoch) for ref in request.held]
        self.held.append(held)
        self._notify()
        sent: set[Key] = set(held)
        told: set[bytes] = set()
        progress = Progress(fence_after=_duration(self.fence_after), report_every=_duration(self.report_every))
        yield LeaseResponse(progress=progress)
        while True:
            changed = self._changed  # before looking: what arises meanwhile must wake the wait below
            self._authenticate(context)
            new = [key for key in self.grants if key not in self.terminal and (self.repeat_grants or key not in sent)]
            if new:
                yield LeaseResponse(grants=self._grants(new, told))
                sent.update(new)
            if self._aborts:
                aborts, self._aborts = self._aborts, []
                yield LeaseResponse(aborts=Aborts(aborts=aborts))
            await changed.wait()

    async def report(self, request: Any, context: Any) -> ReportResponse:
        self._authenticate(context)
        for report in request.reports:
            if code := self.refusals.get(report.event.id.name):
                raise ConnectError(code, f"no {report.event.id.name}")
            if self.refuses(report):
                raise ConnectError(Code.INVALID_ARGUMENT, f"no {report.event.id.name}")
        self.batches.append(len(request.reports))
        self.received += [report.SerializeToString(deterministic=True) for report in request.reports]
        outcomes = [self._record(report) for report in request.reports]
        self._notify()
        if self.drop_report_replies and request.reports:
            self.drop_report_replies -= 1
            raise ConnectError(Code.UNAVAILABLE, "the reply got lost")
        current = self.session_current and request.session_id == (self.sessions or [""])[-1]
        return ReportResponse(outcomes=outcomes, session_current=current, reasons=self.reasons)

    def _record(self, report: AttemptReport) -> Outcome:
        key = (report.event.id.name, report.event.attempt, report.epoch)
        if key in self.outcomes:
            return self.outcomes[key]
        if key in self.terminal:
            return Outcome.OUTCOME_DUPLICATE if self.terminal[key] == report else Outcome.OUTCOME_TERMINAL_ALREADY
        if report in self.reports:
            return Outcome.OUTCOME_DUPLICATE
        self.reports.append(report)
        if report.event.phase != ACTION_PHASE_RUNNING:
            self.terminal[key] = report
        return Outcome.OUTCOME_ACCEPTED if key in self.grants else Outcome.OUTCOME_UNKNOWN_ACTION

    def _grants(self, keys: list[Key], told: set[bytes]) -> Grants:
        grants = [self.grants[key] for key in keys]
        digests = {grant.task_spec_digest for grant in grants} - told
        told |= digests
        run = RunContext(run_id=action_id("a0").run, run_spec=self.run_spec, run_start_time=_timestamp(START))
        entries = [TaskSpecEntry(digest=digest, spec=self.specs[digest]) for digest in digests]
        return Grants(task_specs=entries, runs=[run], grants=grants)

    # ---- what the dataproxy asks

    async def data_uris(self, request: Any, context: Any) -> GetActionDataURIsResponse:
        self._ask(context)
        name = request.action_id.name
        base = f"{self.storage}/runs/r1/{name}"
        if name not in self.attempts:
            raise ConnectError(Code.NOT_FOUND, f"no action {name}")
        return GetActionDataURIsResponse(inputs_uri=f"{base}/inputs.pb", outputs_uri=f"{base}/1")

    async def details(self, request: Any, context: Any) -> GetActionDetailsResponse:
        self._ask(context)
        name = request.action_id.name
        known = list(self.attempts.get(name, []))
        for report in self.reports:
            if report.event.id.name == name:
                known = [each for each in known if each.attempt != report.event.attempt]
                event = report.event
                known.append(
                    ActionAttempt(
                        attempt=event.attempt, phase=event.phase, outputs=event.outputs, log_info=event.log_info
                    )
                )
        if not known:
            raise ConnectError(Code.NOT_FOUND, f"no action {name}")
        return GetActionDetailsResponse(details=ActionDetails(id=action_id(name), attempts=known))

    async def task_details(self, request: Any, context: Any) -> GetTaskDetailsResponse:
        self._ask(context)
        if request.task_id.name not in self.tasks:
            raise ConnectError(Code.NOT_FOUND, f"no task {request.task_id.name}")
        spec = self.tasks[request.task_id.name]
        return GetTaskDetailsResponse(details=TaskDetails(task_id=request.task_id, spec=spec))

    def _ask(self, context: Any) -> None:
        self._answering()
        self.callers.append(context.request_headers.get("authorization"))

    # ---- the rest

    def _credential(self) -> Credential:
        token = f"token-{next(self._numbers)}-{self.cluster}"
        self.tokens.append(token)
        return Credential(token=token, expires_at=_timestamp(datetime.now(UTC) + self.credential_life))

    def _authenticate(self, context: Any) -> str:
        self._answering()
        scheme, _, token = (context.request_headers.get("authorization") or "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            raise ConnectError(Code.UNAUTHENTICATED, "no valid credential")
        return token

    def _answering(self) -> None:
        if self.down:
            raise ConnectError(Code.UNAVAILABLE, "down")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def application(self) -> Starlette:
        link = {"Enroll": self.enroll, "Renew": self.renew, "Lease": self.lease, "Report": self.report}
        runs = {"GetActionDataURIs": self.data_uris, "GetActionDetails": self.details}
        tasks = {"GetTaskDetails": self.task_details}
        served = [(LINK, link), (RUNS, runs), (TASKS, tasks)]
        apps = [_serving(each, handlers, self.request_limit) for each, handlers in served]
        return Starlette(routes=[Mount(app.path, app) for app in apps])


def action_id(name: str) -> ActionIdentifier:
    run = RunIdentifier(org="local", project="flytesnacks", domain="development", name="r1")
    return ActionIdentifier(run=run, name=name)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def stub_control_plane(storage: str, **settings: Any) -> AsyncGenerator[StubControlPlane]:
    stub = StubControlPlane(storage=storage, **settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        stub.url = f"http://localhost:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            stub.application(), lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = _Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield stub
            finally:
                stub.stop_answering()
                server.should_exit = True


def _serving(service: Any, handlers: dict[str, Any], limit: int) -> ServiceApplication:
    async def nothing(request: Any, context: Any) -> Any:
        raise ConnectError(Code.UNIMPLEMENTED, "not part of the stub")

    async def no_stream(request: Any, context: Any) -> AsyncIterator[Any]:
        raise ConnectError(Code.UNIMPLEMENTED, "not part of the stub")
        yield

    rest = {m.name: no_stream if m.server_streaming else nothing for m in service.methods}
    return ServiceApplication(service, rest | handlers, read_max_bytes=limit)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def _timestamp(at: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(at)
    return timestamp
