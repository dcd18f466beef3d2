"""Pages of the families that the SDK links to and this version does not have, and the ways to the runs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from signalbox.console import addresses
from signalbox.console.site import Site
from signalbox.errors import NotFound
from signalbox.op import Op


class Families:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def home(self, _op: Op, _request: Request) -> Response:
        return RedirectResponse(addresses.scope(self._site.default_scope()))

    async def scope_home(self, _op: Op, request: Request) -> Response:
        return RedirectResponse(addresses.scope(self._site.scope(request)))

    async def absent(self, op: Op, request: Request) -> Response:
        """An honest page, so that a link that the SDK printed leads somewhere."""
        family = request.path_params["family"]
        if family not in addresses.FAMILIES or family == "runs":
            return await self.unknown(op, request)
        place = await self._site.place(op, request, family)
        return self._site.response("absent.html", place=place, title=addresses.FAMILIES[family])

    async def unknown(self, _op: Op, request: Request) -> Response:
        raise NotFound(f"{request.url.path}: there is no such page")
