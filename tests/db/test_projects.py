"""Projects: created, changed, archived, listed, and required where something is made in them."""

from __future__ import annotations

import pytest
from flyteidl2.common import list_pb2
from flyteidl2.project import project_service_pb2 as pb

from signalbox.api.projects import Projects
from signalbox.control import projects
from signalbox.errors import AlreadyExists, Forbidden, Invalid, NotFound
from signalbox.ids import ProjectKey, ScopeKey
from signalbox.op import Kind, Principal
from signalbox.settings import Settings
from signalbox.store.db import Database
from signalbox.store.projects import State
from support.builders import DOMAINS, ORG, an_op

NOBODY = Principal(kind=Kind.USER, subject="nobody", name="Nobody", roles=frozenset())


@pytest.fixture
def service(database_url: str) -> Projects:
    return Projects(Settings(database_url=database_url, domains=DOMAINS))  # pyright: ignore[reportArgumentType]  # pydantic makes it a secret


async def _create(service: Projects, db: Database, id_: str, **fields: str) -> None:
    project = pb.Project(id=id_, org=ORG, **fields)  # pyright: ignore[reportArgumentType]  # all of them are texts
    await service.create_project(an_op(db), pb.CreateProjectRequest(project=project))


async def _ids(service: Projects, db: Database, filters: str = "", **more: int) -> list[str]:
    reply = await service.list_projects(an_op(db), pb.ListProjectsRequest(org=ORG, filters=filters, **more))  # pyright: ignore[reportArgumentType]  # numbers
    return [project.id for project in reply.projects.projects]


async def test_a_project_is_given_back_with_the_operators_domains(service: Projects, db: Database) -> None:
    await _create(service, db, "one", name="Number one", description="first")

    project = (await service.get_project(an_op(db), pb.GetProjectRequest(id="one", org=ORG))).project

    assert (project.id, project.name, project.description, project.org) == ("one", "Number one", "first", ORG)
    assert [domain.id for domain in project.domains] == list(DOMAINS)
    assert project.state == pb.PROJECT_STATE_ACTIVE


async def test_a_taken_id_is_refused(service: Projects, db: Database) -> None:
    await _create(service, db, "one")
    with pytest.raises(AlreadyExists, match="project one"):
        await _create(service, db, "one")


async def test_an_update_replaces_and_archives(service: Projects, db: Database) -> None:
    await _create(service, db, "one")
    changed = pb.Project(id="one", org=ORG, name="New name", state=pb.PROJECT_STATE_ARCHIVED)
    changed.labels.values["team"] = "a"

    await service.update_project(an_op(db), pb.UpdateProjectRequest(project=changed))

    project = (await service.get_project(an_op(db), pb.GetProjectRequest(id="one", org=ORG))).project
    assert (project.name, project.state) == ("New name", pb.PROJECT_STATE_ARCHIVED)
    assert project.labels.values == {"team": "a"}
    with pytest.raises(NotFound, match="project two"):
        await service.update_project(an_op(db), pb.UpdateProjectRequest(project=pb.Project(id="two", org=ORG)))


async def test_lists_are_filtered_in_the_older_grammar(service: Projects, db: Database) -> None:
    for name in ("one", "two", "three"):
        await _create(service, db, name)
    archived = pb.Project(id="two", org=ORG, state=pb.PROJECT_STATE_ARCHIVED)
    await service.update_project(an_op(db), pb.UpdateProjectRequest(project=archived))

    assert await _ids(service, db) == ["three", "one"]
    assert await _ids(service, db, "eq(state, 0)") == ["three", "one"]
    assert await _ids(service, db, "eq(state, 1)") == ["two"]
    assert await _ids(service, db, "eq(state, 2)") == []
    assert await _ids(service, db, "ne(state, 0)") == ["two"]
    assert await _ids(service, db, "value_in(state, 0;1)") == ["three", "two", "one"]
    assert await _ids(service, db, "contains(id, o)+eq(state, 0)") == ["one"]
    assert await _ids(service, db, "eq(id, two)") == ["two"]


@pytest.mark.parametrize("filters", ["eq(colour, red)", "eq(state, x)", "eq(state, 9)", "state", "like(state, 0)"])
async def test_filters_that_are_not_known_are_refused(service: Projects, db: Database, filters: str) -> None:
    with pytest.raises(Invalid, match="filter"):
        await _ids(service, db, filters)


async def test_pages_follow_each_other(service: Projects, db: Database) -> None:
    names = [f"p{number}" for number in range(5)]
    for name in names:
        await _create(service, db, name)
    sort = list_pb2.Sort(key="created_at", direction=list_pb2.Sort.ASCENDING)

    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListProjectsRequest(org=ORG, limit=2, token=token, sort_by=sort)
        page = (await service.list_projects(an_op(db), request)).projects
        seen += [project.id for project in page.projects]
        if not (token := page.token):
            break
        await _create(service, db, f"late{len(seen)}")

    assert seen[:5] == names
    assert len(seen) == len(set(seen))


async def test_default_projects_are_made_once_and_left_alone(service: Projects, db: Database) -> None:
    await projects.ensure_default(db, ORG, ["flytesnacks"])
    renamed = pb.Project(id="flytesnacks", org=ORG, name="Mine", state=pb.PROJECT_STATE_ARCHIVED)
    await service.update_project(an_op(db), pb.UpdateProjectRequest(project=renamed))

    await projects.ensure_default(db, ORG, ["flytesnacks"])

    project = (await service.get_project(an_op(db), pb.GetProjectRequest(id="flytesnacks", org=ORG))).project
    assert (project.name, project.state) == ("Mine", pb.PROJECT_STATE_ARCHIVED)


async def test_nothing_is_made_in_an_archived_project(service: Projects, db: Database) -> None:
    archived = pb.Project(id="one", org=ORG, state=pb.PROJECT_STATE_ARCHIVED)
    await service.create_project(an_op(db), pb.CreateProjectRequest(project=archived))
    async with db.autocommit() as tx:
        with pytest.raises(NotFound, match="is archived"):
            await projects.require(tx, ScopeKey(ORG, "one", "development"), domains=DOMAINS)


async def test_each_change_leaves_one_audit_row(service: Projects, db: Database) -> None:
    await _create(service, db, "one")
    await service.update_project(an_op(db), pb.UpdateProjectRequest(project=pb.Project(id="one", org=ORG)))

    async with db.autocommit() as tx:
        cursor = await tx.execute("SELECT principal, operation, resource FROM audit ORDER BY id")
        assert await cursor.fetchall() == [
            ("user:developer", "project.create", "local/one"),
            ("user:developer", "project.update", "local/one"),
        ]


async def test_projects_need_the_permissions(db: Database) -> None:
    op = an_op(db, NOBODY)
    key = ProjectKey(ORG, "one")
    with pytest.raises(Forbidden, match=r"project\.read"):
        await projects.get(op, key)
    for change in (projects.create, projects.update):
        with pytest.raises(Forbidden, match=r"project\.write"):
            await change(op, key, b"", state=State.ACTIVE)
