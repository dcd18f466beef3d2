"""Defects of Flyte 2's open-source backend in its answers on the wire, which this product must not have."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import httpx
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2
from flyteidl2.auth import identity_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.api.permissions import SERVED, UNSERVED, services
from signalbox.ids import ProjectKey
from signalbox.store import clusters
from signalbox.store.db import Database
from support.builders import a_project
from support.engine import CLUSTER, FACTS
from support.service import service


def a_run(name: str | None = None) -> run_service_pb2.CreateRunRequest:
    request = run_service_pb2.CreateRunRequest()
    if name:
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name
    else:
        request.project_id.name, request.project_id.domain = "flytesnacks", "development"
    request.task_spec.task_template.id.name = "main.main"
    request.task_spec.short_name = "main"
    request.offloaded_input_data.uri = "file:///store/inputs.pb"
    request.offloaded_input_data.inputs_hash = "hash"
    return request


@pytest.fixture
async def ready(db: Database) -> None:
    await a_project(db, ProjectKey("local", "flytesnacks"))
    async with db.transaction() as tx:
        await clusters.enrol(tx, CLUSTER, FACTS)


@pytest.mark.usefixtures("ready")
async def test_b8_a_repeated_enqueue_is_a_success(database_url: str) -> None:
    """B8: a repeat is answered INTERNAL; a lost reply makes the SDK try a hundred times, and fail."""
    async with service(database_url) as running:
        await running.call("workflow.RunService/CreateRun", a_run("mine"))
        request = actions_service_pb2.EnqueueRequest()
        action = request.action
        action.action_id.run.project, action.action_id.run.domain = "flytesnacks", "development"
        action.action_id.run.name, action.action_id.name, action.parent_action_name = "mine", "c1", "a0"
        action.input_uri, action.run_output_base = "file:///in.pb", "file:///out"
        action.task.id.name = action.task.spec.task_template.id.name = "main.leaf"
        action.task.id.project, action.task.id.domain, action.task.id.version = "flytesnacks", "development", "v1"
        for _ in range(3):
            await running.call("actions.ActionsService/Enqueue", request)


@pytest.mark.usefixtures("ready")
async def test_b10_a_taken_name_is_refused_and_generated_ones_never_meet(database_url: str) -> None:
    """B10: names come from a generator seeded with the clock, and a collision answers with somebody else's run."""
    async with service(database_url) as running:
        await running.call("workflow.RunService/CreateRun", a_run("mine"))
        with pytest.raises(ConnectError) as refused:
            await running.call("workflow.RunService/CreateRun", a_run("mine"))
        names = {
            (await running.call("workflow.RunService/CreateRun", a_run())).run.action.id.run.name for _ in range(30)
        }

    assert refused.value.code is Code.ALREADY_EXISTS
    assert len(names) == 30


@pytest.mark.usefixtures("ready")
async def test_b11_who_somebody_is_comes_from_no_header(database_url: str) -> None:
    """B11: identity is read from unsigned headers, and believed."""
    async with service(database_url, token="sbc_made-up") as running:  # of nobody
        with pytest.raises(ConnectError) as refused:
            await running.call("workflow.RunService/CreateRun", a_run("mine"))

    assert refused.value.code is Code.UNAUTHENTICATED


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_b11_a_token_that_nobody_signed_is_nobodys(database_url: str, algorithm: str) -> None:
    """B11: the payload of a JWT is believed, whatever its signature."""
    parts = ({"alg": algorithm, "typ": "JWT"}, {"sub": "developer", "email": "root@example.com", "roles": ["admin"]})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    async with service(database_url, token=".".join([*encoded, ""])) as running:
        for rpc, request in (
            ("workflow.RunService/CreateRun", a_run("mine")),
            ("auth.IdentityService/UserInfo", identity_pb2.UserInfoRequest()),
        ):
            with pytest.raises(ConnectError) as refused:
                await running.call(rpc, request)
            assert refused.value.code is Code.UNAUTHENTICATED


SPOOFED = {
    "x-user-subject": "root",
    "x-forwarded-user": "root",
    "x-forwarded-email": "root@example.com",
    "x-forwarded-access-token": "root",
    "x-auth-request-user": "root",
    "x-amzn-oidc-identity": "root",
    "x-amzn-oidc-data": "e30.eyJzdWIiOiJyb290In0.",
    "flyte-authorization": "Bearer root",
    "cookie": "flyte_user_info=eyJzdWIiOiJyb290In0; flyte_idt=e30.eyJzdWIiOiJyb290In0.",
}


@pytest.mark.usefixtures("ready")
async def test_b11_headers_that_name_somebody_change_nobodys_identity(database_url: str, db: Database) -> None:
    """B11: neither for the developer, nor for a cluster that shows its own credential."""
    async with db.transaction() as tx:
        await clusters.insert_credential(tx, CLUSTER, token="sbc_one", life=timedelta(hours=1))
    body = {"runId": {"project": "flytesnacks", "domain": "development", "name": "mine"}}
    body |= {"taskSpec": {"taskTemplate": {"id": {"name": "main.main"}}, "shortName": "main"}}
    body |= {"offloadedInputData": {"uri": "file:///store/in.pb", "inputsHash": "hash"}}
    async with service(database_url) as running:
        transport = httpx.ASGITransport(running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
            info = await client.post("/flyteidl2.auth.IdentityService/UserInfo", json={}, headers=SPOOFED)
            run = await client.post("/flyteidl2.workflow.RunService/CreateRun", json=body, headers=SPOOFED)
            cluster = {**SPOOFED, "authorization": "Bearer sbc_one"}
            denied = await client.post("/flyteidl2.workflow.RunService/AbortRun", json=body, headers=cluster)

    assert (info.json()["subject"], info.json()["email"]) == ("developer", "developer@localhost")
    assert run.json()["run"]["action"]["metadata"]["executedBy"]["user"]["id"]["subject"] == "developer"
    assert (denied.status_code, denied.json()["code"]) == (403, "permission_denied")
    assert "cluster:local/one" in denied.json()["message"]
    async with db.autocommit() as tx:
        cursor = await tx.execute("SELECT DISTINCT principal FROM audit ORDER BY principal")
        assert await cursor.fetchall() == [("cluster:local/one",), ("system",), ("user:developer",)]


@pytest.mark.usefixtures("ready")
async def test_b15_a_watch_of_a_run_has_the_run_in_it(database_url: str) -> None:
    """B15: WatchRunDetails streams empty messages, and whole services are not there."""
    async with service(database_url) as running:
        await running.call("workflow.RunService/CreateRun", a_run("mine"))
        request = run_service_pb2.WatchRunDetailsRequest()
        request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", "mine"
        async for message in running.stream("workflow.RunService/WatchRunDetails", request):
            assert message.details.action.id.run.name == "mine"
            assert message.details.action.task.short_name == "main"
            break


def test_b15_every_rpc_is_served_or_says_why_not() -> None:
    """B15: seven services are not mounted at all."""
    for each in services():
        for method in each.methods:
            rpc = f"{each.full_name}/{method.name}"
            assert (rpc in SERVED) != bool(UNSERVED.get(rpc) or UNSERVED.get(each.full_name)), rpc
