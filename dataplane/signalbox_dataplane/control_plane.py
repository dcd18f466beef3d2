"""Calls to the control plane, typed. The only place that dials it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from connectrpc.errors import ConnectError
from flyteidl2.common.identifier_pb2 import ActionIdentifier
from flyteidl2.task import task_service_pb2
from flyteidl2.task.task_definition_pb2 import TaskIdentifier, TaskSpec
from flyteidl2.task.task_service_pb2 import GetTaskDetailsRequest, GetTaskDetailsResponse
from flyteidl2.workflow import run_service_pb2
from flyteidl2.workflow.run_definition_pb2 import ActionDetails
from flyteidl2.workflow.run_service_pb2 import (
    GetActionDataURIsRequest,
    GetActionDataURIsResponse,
    GetActionDetailsRequest,
    GetActionDetailsResponse,
)
from google.protobuf.message import Message

from signalbox_wire.cluster.v1 import cluster_pb2
from signalbox_wire.cluster.v1.cluster_pb2 import (
    ClusterFacts,
    EnrollRequest,
    EnrollResponse,
    LeaseRequest,
    LeaseResponse,
    RenewRequest,
    RenewResponse,
    ReportRequest,
    ReportResponse,
)
from signalbox_wire.connect import Code, RpcClient, rpc_path

LINK = cluster_pb2.DESCRIPTOR.services_by_name["ClusterLinkService"]
RUNS = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
TASKS = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]
DEADLINE_MS = 10_000
CREDENTIAL_REFUSED = (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)
# INTERNAL is retried by the SDK as if it could help, UNKNOWN makes it refresh its token
NO_REFUSAL = (Code.INTERNAL, Code.UNKNOWN, Code.UNIMPLEMENTED, Code.CANCELED, Code.DATA_LOSS)
Res = TypeVar("Res", bound=Message)

caller_token: ContextVar[str | None] = ContextVar("caller_token", default=None)
"""Bearer token of whom the dataproxy asks for: it sees what its caller may see, never more."""


class ClusterLink:
    """ClusterLinkService, as this cluster. `credential` is the bearer token of the calls; none before enrolment."""

    def __init__(self, address: str) -> None:
        self.credential: str | None = None
        self._client = RpcClient(address, services=[LINK], authorization=lambda: self.credential)

    async def enroll(self, join_token: str, facts: ClusterFacts) -> EnrollResponse:
        return await self._call("Enroll", EnrollRequest(join_token=join_token, facts=facts), EnrollResponse)

    async def renew(self) -> RenewResponse:
        return await self._call("Renew", RenewRequest(), RenewResponse)

    async def report(self, request: ReportRequest) -> ReportResponse:
        return await self._call("Report", request, ReportResponse)

    async def lease(self, request: LeaseRequest, *, silence: float) -> AsyncGenerator[LeaseResponse]:
        """Messages until the stream ends; silent for `silence` seconds counts as dead (TimeoutError)."""
        stream = aiter(self._client.stream(rpc_path(LINK.methods_by_name["Lease"]), request, LeaseResponse))
        while True:
            with _cancellation_passes():
                try:
                    async with asyncio.timeout(silence):
                        with _cancellation_passes():
                            message = await anext(stream)
                except StopAsyncIteration:
                    return
            yield message

    async def _call(self, name: str, request: Message, reply: type[Res]) -> Res:
        with _cancellation_passes():
            return await self._client.call(rpc_path(LINK.methods_by_name[name]), request, reply, timeout_ms=DEADLINE_MS)


class Directory:
    """What the dataproxy asks about actions and tasks, on behalf of its caller. Raises ConnectError."""

    def __init__(self, address: str) -> None:
        self._client = RpcClient(address, services=[RUNS, TASKS], authorization=caller_token.get)

    async def data_uris(self, action_id: ActionIdentifier) -> GetActionDataURIsResponse:
        path = rpc_path(RUNS.methods_by_name["GetActionDataURIs"])
        request = GetActionDataURIsRequest(action_id=action_id)
        return await _passed_on(self._client.call(path, request, GetActionDataURIsResponse, timeout_ms=DEADLINE_MS))

    async def action(self, action_id: ActionIdentifier) -> ActionDetails:
        path = rpc_path(RUNS.methods_by_name["GetActionDetails"])
        request = GetActionDetailsRequest(action_id=action_id)
        reply = await _passed_on(self._client.call(path, request, GetActionDetailsResponse, timeout_ms=DEADLINE_MS))
        return reply.details

    async def task_spec(self, task_id: TaskIdentifier) -> TaskSpec:
        path = rpc_path(TASKS.methods_by_name["GetTaskDetails"])
        request = GetTaskDetailsRequest(task_id=task_id)
        reply = await _passed_on(self._client.call(path, request, GetTaskDetailsResponse, timeout_ms=DEADLINE_MS))
        return reply.details.spec


async def _passed_on(answer: Awaitable[Res]) -> Res:
    """The answer, or a refusal for the caller. What a failing control plane says is UNAVAILABLE, no refusal."""
    try:
        return await answer
    except ConnectError as error:
        if error.code in NO_REFUSAL:
            raise ConnectError(Code.UNAVAILABLE, f"the control plane failed: {error.message}") from error
        raise


@contextmanager
def _cancellation_passes() -> Generator[None]:
    """The client turns the cancellation of the calling task into ConnectError; loops that retry must not swallow it."""
    try:
        yield
    except ConnectError as error:
        task = asyncio.current_task()
        if error.code == Code.CANCELED and task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise
