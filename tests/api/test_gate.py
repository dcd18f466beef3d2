"""The one way in: who may call what, what is not served, and what a refusal leaves behind."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2
from flyteidl2.auth import auth_service_pb2, identity_pb2
from flyteidl2.project import project_service_pb2
from flyteidl2.workflow import run_service_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from signalbox.api.permissions import SERVED, reason_unserved, services
from signalbox.errors import Invalid
from signalbox.ids import ClusterKey
from signalbox.settings import Auth, Settings
from signalbox.store import clusters
from signalbox.store.db import Database
from signalbox_wire.connect import rpc_path
from support.engine import FACTS
from support.service import Service, service

CLUSTER = ClusterKey("local", "one")
EVERY_RPC = [(s.full_name, m) for s in services() for m in s.methods]


async def test_every_rpc_that_is_not_served_says_why(database_url: str) -> None:
    unserved = [(name, m) for name, m in EVERY_RPC if f"{name}/{m.name}" not in SERVED and not m.client_streaming]
    assert unserved

    async with service(database_url) as running:
        for name, method in unserved:
            with pytest.raises(ConnectError) as refused:
                await ask(running, method)

            assert refused.value.code is Code.UNIMPLEMENTED, (name, method.name)
            assert refused.value.message == reason_unserved(name, method.name)


async def ask(running: Service, method: MethodDescriptor) -> None:
    """Call the RPC with an empty request, and read what it answers to its end."""
    request = message_factory.GetMessageClass(method.input_type)()
    if method.server_streaming:
        async for _ in running.client.stream(rpc_path(method), request, type(request)):
            pass
    else:
        await running.client.call(rpc_path(method), request, type(request), timeout_ms=5000)


async def test_a_credential_that_is_not_known_is_refused_and_not_taken_for_the_developer(database_url: str) -> None:
    async with service(database_url, token="sbc_nobody") as running:
        with pytest.raises(ConnectError) as refused:
            await running.call("auth.IdentityService/UserInfo", identity_pb2.UserInfoRequest())

    assert refused.value.code is Code.UNAUTHENTICATED


async def test_login_metadata_is_open_to_a_caller_whose_credential_has_expired(database_url: str) -> None:
    async with service(database_url, token="sbc_expired") as running:
        request = auth_service_pb2.GetPublicClientConfigRequest()
        answer = await running.call("auth.AuthMetadataService/GetPublicClientConfig", request)

    assert answer.authorization_metadata_key == "authorization"


async def test_a_denied_call_does_nothing_but_leave_an_audit_row(database_url: str, db: Database) -> None:
    async with db.transaction() as tx:
        await clusters.enrol(tx, CLUSTER, FACTS)
        await clusters.insert_credential(tx, CLUSTER, token="sbc_one", life=timedelta(hours=1))
    request = project_service_pb2.CreateProjectRequest(project=project_service_pb2.Project(id="mine", name="mine"))

    async with service(database_url, token="sbc_one") as running:
        with pytest.raises(ConnectError) as refused:
            await running.call("project.ProjectService/CreateProject", request)

    assert refused.value.code is Code.PERMISSION_DENIED
    async with db.autocommit() as tx:
        projects = await (await tx.execute("SELECT count(*) FROM project")).fetchone()
        audited = await (await tx.execute("SELECT principal, operation, outcome FROM audit")).fetchall()
    assert projects == (0,)
    assert audited == [("cluster:local/one", "flyteidl2.project.ProjectService/CreateProject", "denied")]


async def test_the_developer_may_not_report_for_a_cluster(database_url: str) -> None:
    async with service(database_url) as running:
        with pytest.raises(ConnectError) as refused:
            await running.call("actions.ActionsService/Update", actions_service_pb2.UpdateRequest())

    assert refused.value.code is Code.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "name"), ("a/b", "run_id.name"), ("x" * 64, "name"), ("../../etc", "name"), ("a\x00b", "name")],
)
async def test_a_bad_name_is_refused_in_words(database_url: str, name: str, said: str) -> None:
    request = run_service_pb2.GetRunDetailsRequest()
    request.run_id.project, request.run_id.domain, request.run_id.name = "flytesnacks", "development", name

    async with service(database_url) as running:
        with pytest.raises(ConnectError) as refused:
            await running.call("workflow.RunService/GetRunDetails", request)

    assert refused.value.code is Code.INVALID_ARGUMENT
    assert said in refused.value.message


async def test_inline_inputs_are_payload_and_are_refused(database_url: str) -> None:
    request = run_service_pb2.CreateRunRequest()
    request.project_id.name, request.project_id.domain = "flytesnacks", "development"
    request.task_spec.task_template.id.name = "main"
    request.inputs.literals.add(name="x").value.scalar.primitive.integer = 7

    async with service(database_url) as running:
        with pytest.raises(ConnectError, match="no payload passes the control plane") as refused:
            await running.call("workflow.RunService/CreateRun", request)

    assert refused.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("listen", ["0.0.0.0:8090", "10.0.0.1:8090", "[::]:8090", "example.com:443"])
def test_the_development_principal_is_refused_on_an_address_that_others_can_reach(listen: str) -> None:
    with pytest.raises(Invalid, match="not a loopback address"):
        Settings(auth=Auth.DEVELOPMENT, listen=listen).check_exposure()


def test_there_is_no_authentication_by_default() -> None:
    with pytest.raises(Invalid, match="SIGNALBOX_AUTH"):
        Settings().check_exposure()


@pytest.mark.parametrize("listen", ["127.0.0.1:8090", "localhost:1", "[::1]:8090"])
def test_loopback_addresses_are_fine(listen: str) -> None:
    Settings(auth=Auth.DEVELOPMENT, listen=listen).check_exposure()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8090", "10.0.0.1"])
async def test_another_hosts_name_is_refused_on_every_path(database_url: str, host: str) -> None:
    """Else a web site whose name resolves to 127.0.0.1 could create runs in the developer's name."""
    async with service(database_url) as running:
        transport = httpx.ASGITransport(running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
            for path in ("/flyteidl2.workflow.RunService/CreateRun", "/readyz", "/v2"):
                assert (await client.post(path, json={}, headers={"host": host})).status_code == 421
            for good in ("localhost:8090", "127.0.0.1", "[::1]:8090", "LOCALHOST"):
                assert (await client.get("/readyz", headers={"host": good})).status_code == 200
