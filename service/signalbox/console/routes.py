"""Which address is answered by which page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from signalbox.access.principals import Authenticator
from signalbox.console import assets
from signalbox.console.families import Families
from signalbox.console.run_list import RunList
from signalbox.console.run_page import RunPage
from signalbox.console.site import Handler, Site
from signalbox.control.hub import Hub
from signalbox.settings import Settings
from signalbox.store.db import Database

_SCOPE = "/v2/domain/{domain}/project/{project}"


def routes(db: Database, authenticator: Authenticator, hub: Hub, settings: Settings) -> list[BaseRoute]:
    """All of the console, for the service's application."""
    site = Site(db, authenticator, hub, settings)
    run_list, run_page, families = RunList(site), RunPage(site), Families(site)
    pages: list[tuple[str, str, Handler]] = [
        ("GET", "/", families.home),
        ("GET", "/v2", families.home),
        ("GET", _SCOPE, families.scope_home),
        ("GET", f"{_SCOPE}/runs", run_list.page),
        ("GET", f"{_SCOPE}/live", run_list.live),
        ("GET", f"{_SCOPE}/runs/{{run}}", run_page.page),
        ("GET", f"{_SCOPE}/live/{{run}}", run_page.live),
        ("POST", f"{_SCOPE}/runs/{{run}}/abort", run_page.abort),
        ("GET", f"{_SCOPE}/{{family}}", families.absent),
        ("GET", f"{_SCOPE}/{{family}}/{{rest:path}}", families.absent),
        ("GET", "/v2/{rest:path}", families.unknown),
    ]
    return [
        Route(f"{assets.PREFIX}/{{file}}", _static(site)),
        *(Route(path, site.page(handler), methods=[method]) for method, path, handler in pages),
    ]


def _static(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def file(request: Request) -> Response:
        return assets.response(site.assets, request)

    return file
