"""The list of runs of a project and domain: the newest first, narrowed by its address, and live."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from signalbox.console.addresses import RunsQuery
from signalbox.console.live import EventStream, Pulse, Rendered, Seen
from signalbox.console.memo import Memo
from signalbox.console.site import Site
from signalbox.control import console_views, run_views
from signalbox.ids import ScopeKey
from signalbox.op import Op
from signalbox.rules.phases import Phase
from signalbox.store.run_views import ActionRow, Among, Conditions, RunPosition

_ROWS = 50
# Viewers of the same list who look within this share one look; it is shorter than the pause between two looks.
_MOMENT_SECONDS = 0.4

_CHIPS = (Phase.RUNNING, Phase.QUEUED, Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED)


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """Newest first. `newer`, `older`: from where the neighbouring pages begin."""

    rows: Sequence[ActionRow]
    newer: RunPosition | None
    older: RunPosition | None


class RunList:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._rendered: Memo[Rendered] = Memo(64)
        self._row = site.macro("_runs.html", "row")
        self._pages = site.macro("_runs.html", "pages")

    async def page(self, op: Op, request: Request) -> Response:
        place = await self._site.place(op, request, "runs")
        query = RunsQuery.parse(request.query_params)
        runs = await _read(op, place.scope, query)
        shown = self._render(place.scope, query, runs, now=op.now)
        return self._site.response("runs.html", place=place, query=query, shown=shown, chips=_CHIPS)

    async def live(self, op: Op, request: Request) -> Response:
        scope = self._site.scope(request)
        return EventStream(self._events(op, scope, RunsQuery.parse(request.query_params)))

    async def _events(self, op: Op, scope: ScopeKey, query: RunsQuery) -> AsyncGenerator[str]:
        seen = Seen()
        pulse = Pulse(self._site.settings.progress_every)
        looks = console_views.watch_scope(op, self._site.hub, scope, look_every=pulse.every)
        async with aclosing(looks):
            async for _ in looks:
                moment = int(time.monotonic() / _MOMENT_SECONDS)
                made = await self._rendered.get((scope, query, moment), partial(self._look, op, scope, query))
                if said := pulse.beat(seen.differences(made)):
                    yield said

    async def _look(self, op: Op, scope: ScopeKey, query: RunsQuery) -> Rendered:
        return self._render(scope, query, await _read(op, scope, query), now=None)

    def _render(self, scope: ScopeKey, query: RunsQuery, runs: _Runs, *, now: datetime | None) -> Rendered:
        return Rendered(
            regions={"pages": self._pages(scope, query, runs)},
            rows={f"run-{row.run}": self._row(scope, query, row, now) for row in runs.rows},
        )


async def _read(op: Op, scope: ScopeKey, query: RunsQuery) -> _Runs:
    conditions = Conditions(
        phases=None if query.phase is None else [query.phase],
        name=Among(patterns=[f"(?i){re.escape(query.text)}"] if query.text else []),
        short_name=Among(values=[query.task] if query.task else None),
    )
    backwards = query.before is not None
    page = await run_views.list_runs(
        op,
        scope.org,
        scope,
        conditions,
        after=query.before or query.after,
        descending=not backwards,
        limit=_ROWS,
    )
    rows = [view.row for view in page.items]
    if backwards:
        rows.reverse()
    more = page.next is not None
    return _Runs(
        rows=rows,
        newer=_position(rows[0]) if rows and (more if backwards else query.after is not None) else None,
        older=_position(rows[-1]) if rows and (backwards or more) else None,
    )


def _position(row: ActionRow) -> RunPosition:
    return RunPosition(row.created_at, row.project, row.domain, row.run)
