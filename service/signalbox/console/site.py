"""What all pages share: the way in, the way out, and the frame.

Every request passes `Site.page`, in this order and before any other work: host, principal, handler; errors become
pages. Every answer forbids scripts, styles and connections of any other origin.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from signalbox.access.principals import Authenticator
from signalbox.console import addresses, assets, words
from signalbox.control import projects
from signalbox.control.hub import Hub
from signalbox.errors import (
    AlreadyExists,
    Conflict,
    Exhausted,
    Forbidden,
    Invalid,
    NotFound,
    SignalboxError,
    Unauthenticated,
    Unavailable,
)
from signalbox.ids import ProjectKey, ScopeKey, name
from signalbox.log import logger
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store.db import Database
from signalbox.store.projects import State

Handler = Callable[[Op, Request], Awaitable[Response]]

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_STATUS: dict[type[SignalboxError], tuple[int, str]] = {
    Invalid: (400, "This address cannot be right"),
    Unauthenticated: (401, "Who are you?"),
    Forbidden: (403, "You may not do this"),
    NotFound: (404, "Not found"),
    AlreadyExists: (409, "It exists already"),
    Conflict: (409, "Not now"),
    Exhausted: (429, "Too much at once"),
    Unavailable: (503, "Not available for the moment"),
}
_PROJECTS_SHOWN = 100

_log = logger("console")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page is: the switcher's choices, and what is chosen."""

    scope: ScopeKey
    family: str
    projects: list[str]
    domains: tuple[str, ...]


class Site:
    def __init__(self, db: Database, authenticator: Authenticator, hub: Hub, settings: Settings) -> None:
        self.hub = hub
        self.settings = settings
        self.assets = assets.load()
        self._db = db
        self._authenticator = authenticator
        self._templates = _environment(self.assets)

    def page(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler behind the way in; its answers with the headers of the way out."""

        async def endpoint(request: Request) -> Response:
            request_id = secrets.token_hex(16)
            try:
                who = await self._authenticator.principal(request.headers)
                op = Op(who=who, now=datetime.now(UTC), request_id=request_id, db=self._db)
                response = await handler(op, request)
            except SignalboxError as e:
                status, title = _STATUS.get(type(e), (500, "Something is wrong here"))
                _log.info("page", path=request.url.path, status=status, detail=e.detail)
                response = self._error(status, title, e.public)
            except Exception:  # noqa: BLE001  # a bug: logged whole, told as an id
                _log.exception("page_failed", path=request.url.path, request_id=request_id)
                sentence = f"This is a fault of the service. It is in its log as {request_id}."
                response = self._error(500, "Something is wrong here", sentence)
            response.headers.update(SECURITY_HEADERS)
            response.headers.setdefault("cache-control", "no-store")
            return response

        return endpoint

    def html(self, template: str, **facts: object) -> str:
        return self._templates.get_template(template).render(facts)

    def macro(self, template: str, name: str) -> Callable[..., str]:
        """A part of a page as a function of its facts."""
        return getattr(self._templates.get_template(template).module, name)

    def response(self, template: str, **facts: object) -> Response:
        return Response(self.html(template, **facts), media_type="text/html; charset=utf-8")

    def default_scope(self) -> ScopeKey:
        settings = self.settings
        return ScopeKey(settings.default_org, settings.default_projects[0], settings.domains[0])

    def scope(self, request: Request) -> ScopeKey:
        """The address's project and domain. Raises Invalid, or NotFound for the domain."""
        domain = request.path_params["domain"]
        if domain not in self.settings.domains:
            raise NotFound(f"domain {domain!r}: there are {', '.join(self.settings.domains)}")
        project = name(request.path_params["project"], what="project")
        return ScopeKey(self.settings.default_org, project, domain)

    async def place(self, op: Op, request: Request, family: str) -> Place:
        """Raises Invalid, or NotFound for the project or domain."""
        scope = self.scope(request)
        await projects.get(op, ProjectKey(scope.org, scope.project))
        page = await projects.page(
            op,
            scope.org,
            states=[State.ACTIVE],
            ids=None,
            patterns=(),
            after=None,
            descending=False,
            limit=_PROJECTS_SHOWN,
        )
        names = sorted({project.id for project in page.items} | {scope.project})
        return Place(scope=scope, family=family, projects=names, domains=self.settings.domains)

    def _error(self, status: int, title: str, sentence: str) -> Response:
        home = addresses.scope(self.default_scope())
        body = self.html("error.html", status=status, title=title, sentence=sentence, home=home, place=None)
        return Response(body, status_code=status, media_type="text/html; charset=utf-8")


def _environment(files: dict[str, assets.Asset]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("signalbox.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    shared = cast("dict[str, object]", environment.globals)  # jinja2's stub knows only its own
    shared |= {"static": {name: asset.url for name, asset in files.items()}, "at": addresses, "say": words}
    return environment
