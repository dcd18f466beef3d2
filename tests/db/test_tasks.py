"""Deployed tasks: a version is kept once, lists show the newest of each, pages hold while others deploy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from flyteidl2.common import list_pb2
from flyteidl2.task import task_service_pb2 as pb

from signalbox.api.tasks import Tasks
from signalbox.control import tasks
from signalbox.errors import AlreadyExists, Forbidden, Invalid, NotFound, Unserved
from signalbox.ids import ScopeKey, TaskKey
from signalbox.op import Kind, Principal
from signalbox.rules.phases import Phase
from signalbox.settings import Settings
from signalbox.store.db import Database
from signalbox.store.tasks import Conditions
from support.builders import DOMAINS, ORG, SCOPE, START, a_project, a_run, a_spec, a_task, an_op

Filter = list_pb2.Filter
NOBODY = Principal(kind=Kind.USER, subject="nobody", name="Nobody", roles=frozenset())


@pytest.fixture
def service(database_url: str) -> Tasks:
    return Tasks(Settings(database_url=database_url, domains=DOMAINS))  # pyright: ignore[reportArgumentType]  # pydantic makes it a secret


def _deploy(name: str = "main.greet", version: str = "v1", *, entrypoint: bool = False) -> pb.DeployTaskRequest:
    request = pb.DeployTaskRequest(spec=a_spec(name, entrypoint=entrypoint))
    request.spec.documentation.short_description = "says hello"
    for field, value in zip(TaskKey._fields, (*SCOPE, name, version), strict=True):
        setattr(request.task_id, field, value)
    return request


def _list(*filters: Filter, **more: Any) -> pb.ListTasksRequest:
    request = pb.ListTasksRequest(request=list_pb2.ListRequest(filters=filters, **more))
    request.project_id.organization, request.project_id.name, request.project_id.domain = SCOPE
    return request


async def _names(service: Tasks, db: Database, request: pb.ListTasksRequest) -> list[tuple[str, str]]:
    reply = await service.list_tasks(an_op(db), request)
    return [(task.task_id.name, task.task_id.version) for task in reply.tasks]


async def _rows(db: Database, table: str) -> int:
    counts: Mapping[str, Any] = {"task": "SELECT count(*) FROM task", "audit": "SELECT count(*) FROM audit"}
    async with db.autocommit() as tx:
        row = await (await tx.execute(counts[table])).fetchone()
    assert row is not None
    return row[0]


async def test_a_deployed_task_is_given_back_as_it_came(service: Tasks, db: Database) -> None:
    await a_project(db)
    request = _deploy(entrypoint=True)

    await service.deploy_task(an_op(db), request)
    reply = await service.get_task_details(an_op(db), pb.GetTaskDetailsRequest(task_id=request.task_id))

    assert reply.details.spec == request.spec
    assert reply.details.task_id == request.task_id
    metadata = reply.details.metadata
    assert (metadata.short_name, metadata.environment_name) == ("greet", "main")
    assert metadata.short_description == "says hello"
    assert metadata.deployed_by.user.id.subject == "developer"


async def test_a_deploy_leaves_one_audit_row_and_a_repeat_none(service: Tasks, db: Database) -> None:
    await a_project(db)
    before = await _rows(db, "audit")
    await service.deploy_task(an_op(db), _deploy())
    assert await _rows(db, "audit") == before + 1

    with pytest.raises(AlreadyExists, match=r"main\.greet/v1: is deployed$"):
        await service.deploy_task(an_op(db), _deploy())
    with pytest.raises(AlreadyExists, match="with another spec"):
        await service.deploy_task(an_op(db), _deploy(entrypoint=True))

    assert await _rows(db, "audit") == before + 1
    assert await _rows(db, "task") == 1


async def test_a_deploy_with_triggers_stores_nothing(service: Tasks, db: Database) -> None:
    await a_project(db)
    request = _deploy()
    request.triggers.add(name="nightly")

    with pytest.raises(Unserved, match="triggers"):
        await service.deploy_task(an_op(db), request)

    assert await _rows(db, "task") == 0


async def test_project_and_domain_must_exist(service: Tasks, db: Database) -> None:
    with pytest.raises(NotFound, match="project flytesnacks"):
        await service.deploy_task(an_op(db), _deploy())
    await a_project(db)
    request = _deploy()
    request.task_id.domain = "nowhere"
    with pytest.raises(NotFound, match="domain nowhere"):
        await service.deploy_task(an_op(db), request)


async def test_a_version_that_is_not_deployed_is_not_found(service: Tasks, db: Database) -> None:
    async with db.transaction() as tx:
        await a_task(tx)
    request = pb.GetTaskDetailsRequest(task_id=_deploy(version="v2").task_id)
    with pytest.raises(NotFound, match=r"main\.greet/v2"):
        await service.get_task_details(an_op(db), request)


async def test_a_list_shows_the_newest_version_of_each_task(service: Tasks, db: Database) -> None:
    async with db.transaction() as tx:
        await a_task(tx, "main.a", "v1")
        await a_task(tx, "main.a", "v2", deployed_at=START + timedelta(minutes=2))
        await a_task(tx, "main.b", "v1", deployed_at=START + timedelta(minutes=1))
        await a_task(tx, "main.c", "v9", scope=ScopeKey(ORG, "other", "staging"))

    assert await _names(service, db, _list()) == [("main.a", "v2"), ("main.b", "v1")]
    ascending = list_pb2.Sort(key="created_at", direction=list_pb2.Sort.ASCENDING)
    assert await _names(service, db, _list(sort_by=ascending)) == [("main.b", "v1"), ("main.a", "v2")]
    assert len(await _names(service, db, pb.ListTasksRequest(org=ORG))) == 3


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (Filter(field="name", values=["main.a"]), ["main.a"]),
        (Filter(field="name", function=Filter.CONTAINS, values=["other."]), ["other.b"]),
        (Filter(field="name", function=Filter.CONTAINS_CASE_INSENSITIVE, values=["MAIN"]), ["main.a"]),
        (Filter(field="version", values=["v2"]), ["other.b"]),
        (Filter(field="function_name", values=["b"]), ["other.b"]),
        (Filter(field="environment", values=["main"]), ["main.a"]),
        (Filter(field="deployed_by", function=Filter.VALUE_IN, values=["ann"]), ["other.b"]),
        (Filter(field="updated_at", function=Filter.GREATER_THAN, values=[START.isoformat()]), ["other.b"]),
        (Filter(field="is_entrypoint", values=["true"]), ["other.b"]),
    ],
)
async def test_a_filter_of_tasks_leaves_exactly_what_meets_it(
    service: Tasks, db: Database, one: Filter, left: list[str]
) -> None:
    async with db.transaction() as tx:
        await a_task(tx, "main.a", "v1")
        later = START + timedelta(minutes=1)
        await a_task(tx, "other.b", "v2", deployed_at=later, deployed_by="user:ann", entrypoint=True)

    reply = await service.list_tasks(an_op(db), _list(one))

    assert [task.task_id.name for task in reply.tasks] == left
    assert (reply.metadata.total, reply.metadata.filtered_total) == (2, 1)


async def test_known_filters_mean_the_same(service: Tasks, db: Database) -> None:
    async with db.transaction() as tx:
        await a_task(tx, "main.a", entrypoint=True)
        await a_task(tx, "main.b", deployed_by="user:ann")
    for known, left in (
        (pb.ListTasksRequest.KnownFilter(is_entrypoint=True), "main.a"),
        (pb.ListTasksRequest.KnownFilter(deployed_by="ann"), "main.b"),
    ):
        request = _list()
        request.known_filters.append(known)
        assert [name for name, _ in await _names(service, db, request)] == [left]


@pytest.mark.parametrize(
    "request_",
    [
        _list(Filter(field="colour", values=["red"])),
        _list(sort_by=list_pb2.Sort(key="colour")),
        _list(token="garbage"),
        _list(Filter(field="is_entrypoint", values=["maybe"])),
    ],
)
async def test_what_a_list_of_tasks_does_not_know_is_refused(
    service: Tasks, db: Database, request_: pb.ListTasksRequest
) -> None:
    with pytest.raises(Invalid):
        await service.list_tasks(an_op(db), request_)


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_of_tasks_neither_skip_nor_repeat(service: Tasks, db: Database, descending: bool) -> None:
    async with db.transaction() as tx:
        for number in range(7):
            await a_task(tx, f"main.t{number}", deployed_at=START + timedelta(minutes=number // 2))
    direction = list_pb2.Sort.DESCENDING if descending else list_pb2.Sort.ASCENDING
    sort = list_pb2.Sort(key="created_at", direction=direction)

    seen: list[str] = []
    token = ""
    while True:
        reply = await service.list_tasks(an_op(db), _list(limit=2, token=token, sort_by_fields=[sort]))
        seen += [task.task_id.name for task in reply.tasks]
        async with db.transaction() as tx:
            shift = timedelta(hours=1) if descending else timedelta(hours=-1)
            await a_task(tx, f"main.new{len(seen)}", deployed_at=START + shift)
        if not (token := reply.token):
            break

    assert seen == sorted((f"main.t{number}" for number in range(7)), reverse=descending)


async def test_versions_come_with_their_latest_runs(service: Tasks, db: Database) -> None:
    async with db.transaction() as tx:
        await a_task(tx, version="v1")
        await a_task(tx, version="v2", deployed_at=START + timedelta(minutes=1))
        await a_run(tx, "old", version="v1", created_at=START)
        await a_run(tx, "new", version="v1", created_at=START + timedelta(minutes=1), phase=Phase.FAILED)

    request = pb.ListVersionsRequest()
    for field, value in zip(("org", "project", "domain", "name"), (*SCOPE, "main.greet"), strict=True):
        setattr(request.task_name, field, value)
    reply = await service.list_versions(an_op(db), request)

    assert [version.version for version in reply.versions] == ["v2", "v1"]
    assert not reply.versions[0].HasField("latest_run")
    assert reply.versions[1].latest_run.run_id.name == "new"
    assert reply.versions[1].latest_run.phase == 6
    (task,) = (await service.list_tasks(an_op(db), _list())).tasks
    assert task.task_summary.latest_run.run_id.name == "new"


async def test_tasks_need_the_permission(db: Database) -> None:
    op = an_op(db, NOBODY)
    key = TaskKey(*SCOPE, "main.greet", "v1")
    with pytest.raises(Forbidden, match=r"task\.read"):
        await tasks.get(op, key)
    with pytest.raises(Forbidden, match=r"task\.read"):
        await tasks.newest(op, ORG, None, Conditions(), after=None, descending=True, limit=1)
    with pytest.raises(Forbidden, match=r"task\.read"):
        await tasks.versions(op, key, Conditions(), after=None, descending=True, limit=1)


async def test_the_version_deployed_last_is_the_newest_whatever_a_processes_clock_says(
    service: Tasks, db: Database
) -> None:
    await a_project(db)
    ahead, behind = (an_op(db, now=START + shift) for shift in (timedelta(days=9), -timedelta(days=9)))

    await service.deploy_task(ahead, _deploy(version="v1"))
    await service.deploy_task(behind, _deploy(version="v2"))

    assert await _names(service, db, _list()) == [("main.greet", "v2")]
