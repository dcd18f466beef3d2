"""Defects of Flyte 2's open-source backend in its answers on the wire, which this product must not have."""

from __future__ import annotations

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.actions import actions_service_pb2
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
