"""A cluster on the wire: enrolled by a join token, with a lease stream and reports of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flyteidl2.common import phase_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.access.principals import OPERATOR
from signalbox.control import leases
from signalbox.ids import ClusterKey, ProjectKey
from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as pb
from support.builders import a_project, an_op
from support.service import Service, service

LINK = "/signalbox.cluster.v1.ClusterLinkService"
FACTS = pb.ClusterFacts(dataproxy_endpoint="http://localhost:1", storage_prefix="file:///store", agent_version="test")


@dataclass
class Cluster:
    running: Service
    token: str = ""

    async def lease(self, session: str = "s1", *held: pb.AttemptRef) -> AsyncIterator[pb.LeaseResponse]:
        request = pb.LeaseRequest(session_id=session, facts=FACTS, capacity=10, held=held)
        async for message in self.running.client.stream(f"{LINK}/Lease", request, pb.LeaseResponse):
            yield message

    async def report(
        self, grant: pb.Grant, phase: str, *, session: str = "s1", epoch: int | None = None
    ) -> pb.ReportResponse:
        return await self.send(report(grant, phase, epoch=epoch), session=session)

    async def send(self, *reports: pb.AttemptReport, session: str = "s1") -> pb.ReportResponse:
        return await self.call("Report", pb.ReportRequest(session_id=session, reports=reports), pb.ReportResponse)

    async def call(self, rpc: str, request: Any, reply: Any) -> Any:
        return await self.running.client.call(f"{LINK}/{rpc}", request, reply, timeout_ms=5000)


def report(
    grant: pb.Grant,
    phase: str,
    change: Callable[[pb.AttemptReport], object] = lambda _: None,
    *,
    epoch: int | None = None,
) -> pb.AttemptReport:
    """`phase`: without its prefix; `change`: what else is told."""
    made = pb.AttemptReport(epoch=grant.ref.epoch if epoch is None else epoch)
    made.event.id.CopyFrom(grant.ref.action_id)
    made.event.attempt = grant.ref.attempt
    made.event.phase = phase_pb2.ActionPhase.Value(f"ACTION_PHASE_{phase}")  # pyright: ignore[reportAttributeAccessIssue]  # an int, as protobuf has it
    change(made)
    return made


async def a_join_token(db: Database, name: str = "one") -> str:
    made = await leases.create_join_token(an_op(db, OPERATOR), ClusterKey("local", name), life=timedelta(minutes=1))
    return made.token


@asynccontextmanager
async def enrolled(
    database_url: str, db: Database, *, join_token: str = "", name: str = "one"
) -> AsyncGenerator[Cluster]:
    """An enrolled cluster, and a project to run in."""
    await a_project(db, ProjectKey("local", "flytesnacks"))
    token = join_token or await a_join_token(db, name)
    async with service(database_url) as anonymous:
        request = pb.EnrollRequest(join_token=token, facts=FACTS)
        answer = await Cluster(anonymous).call("Enroll", request, pb.EnrollResponse)
    assert (answer.org, answer.cluster) == ("local", name)
    async with service(database_url, token=answer.credential.token, progress_every=timedelta(seconds=0.3)) as running:
        yield Cluster(running, answer.credential.token)


async def a_run(
    database_url: str,
    name: str = "mine",
    change: Callable[[run_service_pb2.CreateRunRequest], object] = lambda _: None,
) -> None:
    request = run_service_pb2.CreateRunRequest()
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
    request.task_spec.task_template.id.name = "main.main"
    request.task_spec.short_name = "main"
    request.offloaded_input_data.uri = "file:///store/inputs.pb"
    request.offloaded_input_data.inputs_hash = "hash"
    change(request)
    async with service(database_url) as running:
        await running.call("workflow.RunService/CreateRun", request)


async def until(stream: AsyncIterator[pb.LeaseResponse], kind: str) -> Any:
    async with asyncio.timeout(10):
        async for message in stream:
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)
    raise AssertionError(f"the stream ended without {kind}")
