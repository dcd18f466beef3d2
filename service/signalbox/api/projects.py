"""ProjectService. An org's domains are the operator's; a client's are not stored."""

from __future__ import annotations

from datetime import datetime

from flyteidl2.project import project_service_pb2 as pb

from signalbox import ids
from signalbox.api import filter_words, filters, paging, wire
from signalbox.api.interceptors import Handlers
from signalbox.control import projects
from signalbox.errors import Invalid
from signalbox.ids import ProjectKey
from signalbox.op import Op
from signalbox.rules import texts
from signalbox.settings import Settings
from signalbox.store.projects import Position, Project, State
from signalbox.store.run_views import ANY, Among

_SERVICE = "flyteidl2.project.ProjectService"
_STATES = {State.ACTIVE: pb.PROJECT_STATE_ACTIVE, State.ARCHIVED: pb.PROJECT_STATE_ARCHIVED}
_STATE_OF: dict[int, State] = {number: state for state, number in _STATES.items()}


class Projects:
    def __init__(self, settings: Settings) -> None:
        self._domains = [pb.Domain(id=domain, name=domain.capitalize()) for domain in settings.domains]

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/CreateProject": self.create_project,
            f"{_SERVICE}/UpdateProject": self.update_project,
            f"{_SERVICE}/GetProject": self.get_project,
            f"{_SERVICE}/ListProjects": self.list_projects,
        }

    async def create_project(self, op: Op, request: pb.CreateProjectRequest) -> pb.CreateProjectResponse:
        key, definition, state = _stored(request.project)
        await projects.create(op, key, definition, state=state)
        return pb.CreateProjectResponse()

    async def update_project(self, op: Op, request: pb.UpdateProjectRequest) -> pb.UpdateProjectResponse:
        key, definition, state = _stored(request.project)
        await projects.update(op, key, definition, state=state)
        return pb.UpdateProjectResponse()

    async def get_project(self, op: Op, request: pb.GetProjectRequest) -> pb.GetProjectResponse:
        key = ProjectKey(ids.name(request.org, what="org"), ids.name(request.id, what="id"))
        return pb.GetProjectResponse(project=self._message(await projects.get(op, key)))

    async def list_projects(self, op: Op, request: pb.ListProjectsRequest) -> pb.ListProjectsResponse:
        sorts = [request.sort_by] if request.HasField("sort_by") else []
        order = paging.order_of(sorts, keys=("created_at",))
        token = paging.position(request.token, "projects", order, datetime, str)
        states, among = _filtered(request.filters)
        page = await projects.page(
            op,
            ids.name(request.org, what="org"),
            states=states,
            ids=among.values,
            patterns=among.patterns,
            after=Position(*token) if token else None,  # pyright: ignore[reportArgumentType]  # types are checked
            descending=order.descending,
            limit=paging.size(request.limit),
        )
        listed = [self._message(project) for project in page.items]
        return pb.ListProjectsResponse(
            projects=pb.Projects(projects=listed, token=paging.token("projects", order, page.next))
        )

    def _message(self, project: Project) -> pb.Project:
        message = pb.Project.FromString(project.definition)
        message.org = project.org
        message.state = _STATES[project.state]
        message.domains.extend(self._domains)
        return message


def _stored(project: pb.Project) -> tuple[ProjectKey, bytes, State]:
    key = ProjectKey(ids.name(project.org, what="project.org"), ids.name(project.id, what="project.id"))
    if project.state not in _STATE_OF:
        raise Invalid(f"project.state: 0 (active) or 1 (archived), got {project.state}")
    name = wire.text(project.name or project.id, what="project.name", longest=texts.NAME)
    definition = pb.Project(id=project.id, name=name, description=wire.reason(project.description))
    definition.labels.values.update(wire.labels(project.labels.values, what="project.labels"))
    return key, definition.SerializeToString(), _STATE_OF[project.state]


def _filtered(text: str) -> tuple[list[State], Among]:
    """States and ids that the older grammar names. Without a filter archived projects are not shown."""
    states: list[State] | None = None
    among = ANY
    for one in filters.few(filter_words.parse(text)):
        match one.field:
            case "state":
                states = filters.chosen(one, states, State, _state)
            case "id" | "identifier":
                among = filters.text(one, among)
            case _:
                raise filters.unknown(one, ("state", "id"))
    default = [State.ACTIVE] if not text else list(State)
    return default if states is None else states, among


def _state(value: str) -> State | None:
    """States that no project of ours is in (generated ones) leave none."""
    if not value.isdecimal() or int(value) not in pb.ProjectState.values():
        raise Invalid(f"filter state: a number of a project's state, got {value!r}")
    return _STATE_OF.get(int(value))
