"""The floor: a control plane in memory, for the same client and the same data plane.

What it leaves out, on purpose: durability, validation, authentication, authorization, audit, retries, aborts, timeouts,
limits, caching, more than one cluster or process, restarts. A run lives in dictionaries and is told at once to whoever
waits. Nothing that speaks this protocol from Python can be much faster; how near the product comes is its overhead.

`python -m bench.floor PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import uvicorn
from flyteidl2.actions import actions_service_pb2
from flyteidl2.cluster import payload_pb2
from flyteidl2.cluster import service_pb2 as cluster_service_pb2
from flyteidl2.common import phase_pb2
from flyteidl2.workflow import run_service_pb2, state_service_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from signalbox_wire.cluster.v1 import cluster_pb2
from signalbox_wire.connect import ServiceApplication

_OVER = {phase_pb2.ACTION_PHASE_SUCCEEDED, phase_pb2.ACTION_PHASE_FAILED, phase_pb2.ACTION_PHASE_ABORTED}
_SENTINEL = actions_service_pb2.WatchForUpdatesResponse(control_message=state_service_pb2.ControlMessage(sentinel=True))


class Floor:
    def __init__(self) -> None:
        self._details: dict[str, run_service_pb2.GetRunDetailsResponse] = {}
        self._contexts: dict[str, Any] = {}
        self._bases: dict[str, str] = {}
        self._grants: asyncio.Queue[cluster_pb2.Grant] = asyncio.Queue()
        self._specs: dict[bytes, Any] = {}
        self._parents: dict[tuple[str, str], str] = {}
        self._updates: defaultdict[tuple[str, str], asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._facts = cluster_pb2.ClusterFacts()
        self._runs = 0

    def handlers(self) -> dict[str, dict[str, Any]]:
        return {
            "flyteidl2.cluster.ClusterService": {"SelectCluster": self.select},
            "flyteidl2.workflow.RunService": {"CreateRun": self.create, "GetRunDetails": self.get},
            "flyteidl2.actions.ActionsService": {"Enqueue": self.enqueue, "WatchForUpdates": self.watch},
            "signalbox.cluster.v1.ClusterLinkService": {
                "Enroll": self.enroll, "Renew": self.enroll, "Lease": self.lease, "Report": self.report,
            },
        }  # fmt: skip

    async def select(self, _: Any, __: Any) -> payload_pb2.SelectClusterResponse:
        return payload_pb2.SelectClusterResponse(cluster_endpoint=self._facts.dataproxy_endpoint)

    async def create(self, request: run_service_pb2.CreateRunRequest, _: Any) -> run_service_pb2.CreateRunResponse:
        self._runs += 1
        name = f"r{self._runs:019}"
        answer = run_service_pb2.GetRunDetailsResponse()
        action = answer.details.action
        run = action.id.run
        run.org, run.project, run.domain, run.name = "local", request.project_id.name, request.project_id.domain, name
        action.id.name = "a0"
        action.status.phase = phase_pb2.ACTION_PHASE_QUEUED
        action.status.start_time.FromDatetime(datetime.now(UTC))
        self._details[name] = answer
        self._bases[name] = f"{self._facts.storage_prefix}/{name}"
        context = cluster_pb2.RunContext(run_id=run, run_spec=request.run_spec)
        context.run_start_time.FromDatetime(datetime.now(UTC))
        self._contexts[name] = context
        self._queue(action.id, "", request.task_spec, request.offloaded_input_data.uri)
        created = run_service_pb2.CreateRunResponse()
        created.run.action.id.CopyFrom(action.id)
        created.run.action.status.CopyFrom(action.status)
        return created

    async def get(self, request: run_service_pb2.GetRunDetailsRequest, _: Any) -> Any:
        return self._details[request.run_id.name]

    def _queue(self, action_id: Any, parent: str, spec: Any, inputs: str) -> None:
        run = action_id.run.name
        digest = spec.SerializeToString(deterministic=True)
        self._specs[digest] = spec
        self._parents[run, action_id.name] = parent
        base = self._bases.setdefault(run, "")
        self._grants.put_nowait(
            cluster_pb2.Grant(
                ref=cluster_pb2.AttemptRef(action_id=action_id, attempt=1, epoch=1),
                parent_action_name=parent,
                task_spec_digest=digest,
                input_uri=inputs,
                run_output_base=base,
                output_uri=f"{base}/{action_id.name}/1",
            )
        )

    async def enqueue(self, request: Any, _: Any) -> actions_service_pb2.EnqueueResponse:
        action = request.action
        self._queue(action.action_id, action.parent_action_name, action.task.spec, action.input_uri)
        return actions_service_pb2.EnqueueResponse()

    async def watch(self, request: Any, _: Any) -> AsyncIterator[Any]:
        parent = request.parent_action_id
        updates = self._updates[parent.run.name, parent.name]
        yield _SENTINEL
        while True:
            yield await updates.get()

    async def enroll(self, request: Any, _: Any) -> cluster_pb2.EnrollResponse:
        self._facts = request.facts
        answer = cluster_pb2.EnrollResponse(org="local", cluster="bench")
        answer.credential.token = "any"  # noqa: S105  # nothing here is secret
        answer.credential.expires_at.seconds = int(datetime.now(UTC).timestamp()) + 86400
        return answer

    async def lease(self, _: Any, __: Any) -> AsyncIterator[Any]:
        progress = cluster_pb2.LeaseResponse()
        progress.progress.fence_after.seconds = 3600
        progress.progress.report_every.seconds = 60
        yield progress
        sent: set[bytes] = set()
        while True:
            grants = [await self._grants.get()]
            while not self._grants.empty() and len(grants) < 100:
                grants.append(self._grants.get_nowait())
            message = cluster_pb2.LeaseResponse()
            for digest in {g.task_spec_digest for g in grants} - sent:
                message.grants.task_specs.add(digest=digest, spec=self._specs[digest])
                sent.add(digest)
            message.grants.runs.extend(self._contexts[n] for n in {g.ref.action_id.run.name for g in grants})
            message.grants.grants.extend(grants)
            yield message

    async def report(self, request: Any, _: Any) -> cluster_pb2.ReportResponse:
        for report in request.reports:
            event = report.event
            run, name = event.id.run.name, event.id.name
            update = actions_service_pb2.WatchForUpdatesResponse()
            update.action_update.action_id.CopyFrom(event.id)
            update.action_update.phase = event.phase
            update.action_update.output_uri = event.outputs.output_uri
            if parent := self._parents[run, name]:
                if event.phase in _OVER:
                    self._updates[run, parent].put_nowait(update)
            else:
                status = self._details[run].details.action.status
                status.phase = event.phase
                if event.phase in _OVER:
                    status.end_time.FromDatetime(datetime.now(UTC))
        outcomes = [cluster_pb2.OUTCOME_ACCEPTED] * len(request.reports)
        return cluster_pb2.ReportResponse(outcomes=outcomes, session_current=True)


def application() -> Starlette:
    floor = Floor()
    files = (cluster_service_pb2, run_service_pb2, actions_service_pb2, cluster_pb2)
    known = {s.full_name: s for file in files for s in file.DESCRIPTOR.services_by_name.values()}
    routes: list[Any] = [Route("/healthz", _healthy)]
    for name, handlers in floor.handlers().items():
        served = {m.name: handlers.get(m.name, _refuse) for m in known[name].methods}
        made = ServiceApplication(known[name], served, read_max_bytes=4 * 1024**2, hot=True)
        routes.append(Mount(made.path, made))
    return Starlette(routes=routes)


async def _healthy(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _refuse(_: Any, __: Any) -> Any:
    raise NotImplementedError("not part of the floor")


if __name__ == "__main__":
    uvicorn.run(application(), port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=2)
