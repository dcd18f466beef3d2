"""The reading side over Connect: the stock client's calls, streams, refusals, and what a browser sends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.auth import auth_service_pb2, identity_pb2
from flyteidl2.common import list_pb2
from flyteidl2.project import project_service_pb2
from flyteidl2.task import task_service_pb2
from flyteidl2.workflow import run_service_pb2 as pb

from signalbox.control.hub import run_topic
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase
from signalbox.store import clusters
from signalbox.store.db import Database
from support.builders import ORG, SCOPE, START, a_cluster, a_project, a_run, a_spec, actions_of, enter
from support.service import service

_RUN = "workflow.RunService"


def _run(request: Any, name: str = "r1") -> Any:
    """The request for run `name`, with the empty org that the SDK sends."""
    request.run_id.project, request.run_id.domain, request.run_id.name = SCOPE.project, SCOPE.domain, name
    return request


def _action(request: Any, name: str = ROOT_ACTION, run: str = "r1") -> Any:
    identity = request.action_id
    identity.run.project, identity.run.domain, identity.run.name, identity.name = (
        SCOPE.project,
        SCOPE.domain,
        run,
        name,
    )
    return request


async def test_runs_are_listed_as_the_sdk_asks(database_url: str, db: Database) -> None:
    """It sets org and project both (the last wins), an empty org, and asks oldest first."""
    async with db.transaction() as tx:
        for number in range(3):
            await a_run(tx, f"r{number}", created_at=START + timedelta(minutes=number), labels={"n": str(number)})
    request = pb.ListRunsRequest(
        request=list_pb2.ListRequest(
            limit=2, sort_by=list_pb2.Sort(key="created_at", direction=list_pb2.Sort.ASCENDING)
        ),
        org="",
    )
    request.project_id.name, request.project_id.domain = SCOPE.project, SCOPE.domain

    async with service(database_url) as made:
        first = await made.call(f"{_RUN}/ListRuns", request)
        request.request.token = first.token
        second = await made.call(f"{_RUN}/ListRuns", request)

    assert [run.action.id.run.name for run in first.runs] == ["r0", "r1"]
    assert [run.action.id.run.name for run in second.runs] == ["r2"]
    assert second.token == ""
    assert first.runs[1].labels == {"n": "1"}
    assert first.runs[0].action.id.run.org == ORG
    assert first.runs[0].action.metadata.task.task_type == "python"


async def test_details_are_given_for_runs_and_actions(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, ["c1"])
        await enter(tx, ActionKey(*run, ROOT_ACTION), Phase.SUCCEEDED)
    async with service(database_url) as made:
        details = (await made.call(f"{_RUN}/GetRunDetails", _run(pb.GetRunDetailsRequest()))).details
        child = (await made.call(f"{_RUN}/GetActionDetails", _action(pb.GetActionDetailsRequest(), "c1"))).details
        uris = await made.call(f"{_RUN}/GetActionDataURIs", _action(pb.GetActionDataURIsRequest()))
        listed = await made.call(f"{_RUN}/ListActions", _run(pb.ListActionsRequest()))

    assert details.action.id.name == ROOT_ACTION
    assert details.action.HasField("task")
    assert child.metadata.parent == ROOT_ACTION
    assert uris.outputs_uri == f"file:///store/{run}/a0/1/outputs.pb"
    assert [action.id.name for action in listed.actions] == ["c1", "a0"]


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("GetRunDetails", _run(pb.GetRunDetailsRequest(), "nope")),
        ("GetActionDetails", _action(pb.GetActionDetailsRequest(), "nope")),
        ("GetActionDataURIs", _action(pb.GetActionDataURIsRequest(), run="nope")),
        ("ListActions", _run(pb.ListActionsRequest(), "nope")),
    ],
)
async def test_what_does_not_exist_is_not_found(database_url: str, db: Database, rpc: str, request_: Any) -> None:
    async with db.transaction() as tx:
        await a_run(tx)
    async with service(database_url) as made:
        with pytest.raises(ConnectError, match=r"nope.*not found") as caught:
            await made.call(f"{_RUN}/{rpc}", request_)
        assert caught.value.code is Code.NOT_FOUND
        with pytest.raises(ConnectError) as caught:
            _ = [m async for m in made.stream(f"{_RUN}/WatchActions", _run(pb.WatchActionsRequest(), "nope"))]
        assert caught.value.code is Code.NOT_FOUND


async def test_a_watch_of_a_run_ends_behind_its_last_message(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)
    async with service(database_url) as made:
        stream = made.stream(f"{_RUN}/WatchActionDetails", _action(pb.WatchActionDetailsRequest()))
        assert (await anext(stream)).details.status.phase == 1

        async with db.transaction() as tx:
            await enter(tx, ActionKey(*run, ROOT_ACTION), Phase.SUCCEEDED)
        made.parts.hub.publish([run_topic(run)])
        rest = [message async for message in stream]

    assert [message.details.status.phase for message in rest] == [5]
    assert rest[0].details.attempts[-1].phase == 5


async def test_every_stream_speaks_at_once_and_keeps_speaking(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        await a_run(tx)
    runs = pb.WatchRunsRequest()
    runs.project_id.name, runs.project_id.domain = SCOPE.project, SCOPE.domain
    async with service(database_url, progress_every=timedelta(seconds=0.2)) as made:
        for rpc, request in (
            ("WatchActionDetails", _action(pb.WatchActionDetailsRequest())),
            ("WatchActions", _run(pb.WatchActionsRequest())),
            ("WatchRuns", runs),
        ):
            stream = made.stream(f"{_RUN}/{rpc}", request)
            for _ in range(3):
                await asyncio.wait_for(anext(stream), 5)
            await stream.aclose()


async def test_streams_end_cleanly_when_the_service_stops(database_url: str, db: Database) -> None:
    """The SDK comes again after a clean end; a `canceled` it would take for the end of all."""
    async with db.transaction() as tx:
        await a_run(tx)
    async with service(database_url) as made:
        stream = made.stream(f"{_RUN}/WatchActionDetails", _action(pb.WatchActionDetailsRequest()))
        await anext(stream)
        made.parts.hub.drain()
        assert [message async for message in stream] == []


async def test_a_browser_reads_json(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        await a_run(tx, phase=Phase.RUNNING)
    body: dict[str, Any] = {
        "request": {"limit": 100, "sortBy": {"key": "created_at", "direction": "DESCENDING"}, "filters": []},
        "projectId": {"organization": ORG, "name": SCOPE.project, "domain": SCOPE.domain},
    }
    async with service(database_url) as made:
        transport = httpx.ASGITransport(made.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as browser:
            reply = await browser.post(f"/flyteidl2.{_RUN}/ListRuns", json=body)
            refused = await browser.post(f"/flyteidl2.{_RUN}/ListRuns", json={"request": {"token": "x"}, "org": ORG})

    assert reply.status_code == 200
    assert reply.json()["runs"][0]["action"]["status"]["phase"] == "ACTION_PHASE_RUNNING"
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid_argument"
    assert "token" in refused.json()["message"]


async def test_a_cluster_may_read_runs_and_not_projects(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        await a_run(tx)
        key = await a_cluster(tx)
        await clusters.insert_credential(tx, key, token="sbc_test", life=timedelta(minutes=5))
    async with service(database_url, token="sbc_test") as made:
        await made.call(f"{_RUN}/GetActionDataURIs", _action(pb.GetActionDataURIsRequest()))
        with pytest.raises(ConnectError, match=r"project\.read") as caught:
            await made.call("project.ProjectService/ListProjects", project_service_pb2.ListProjectsRequest())
    assert caught.value.code is Code.PERMISSION_DENIED


async def test_a_task_is_deployed_once(database_url: str, db: Database) -> None:
    await a_project(db)
    request = task_service_pb2.DeployTaskRequest(spec=a_spec())
    identity = request.task_id
    identity.project, identity.domain, identity.name, identity.version = SCOPE.project, SCOPE.domain, "main.greet", "v1"
    async with service(database_url) as made:
        await made.call("task.TaskService/DeployTask", request)
        with pytest.raises(ConnectError) as caught:
            await made.call("task.TaskService/DeployTask", request)
    assert caught.value.code is Code.ALREADY_EXISTS


async def test_who_am_i_and_how_to_log_in(database_url: str, db: Database) -> None:
    async with service(database_url) as made:
        who = await made.call("auth.IdentityService/UserInfo", identity_pb2.UserInfoRequest())
        metadata = "auth.AuthMetadataService"
        await made.call(f"{metadata}/GetOAuth2Metadata", auth_service_pb2.GetOAuth2MetadataRequest())
        client = await made.call(f"{metadata}/GetPublicClientConfig", auth_service_pb2.GetPublicClientConfigRequest())
    assert (who.subject, who.preferred_username, who.email) == ("developer", "developer", "developer@localhost")
    assert client.authorization_metadata_key == "authorization"
