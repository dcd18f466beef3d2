"""The page of a run: its state, a window of its actions, one of them in full; live; and the button that aborts it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import partial

from flyteidl2.workflow import run_definition_pb2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from signalbox.console import addresses, detail, forms, timeline
from signalbox.console.addresses import RunQuery
from signalbox.console.live import EventStream, Pulse, Rendered, Seen, event
from signalbox.console.memo import Memo
from signalbox.console.site import Site
from signalbox.control import console_views, run_views, runs
from signalbox.control.console_views import Window
from signalbox.errors import NotFound
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey, name
from signalbox.op import Op
from signalbox.rules.phases import Phase

_LONGEST_REASON = 500


class RunPage:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._windows: Memo[tuple[Rendered, bool]] = Memo(32)
        self._details: Memo[str] = Memo(256)
        self._head = site.macro("_run.html", "head")
        self._counts = site.macro("_run.html", "counts")
        self._more = site.macro("_actions.html", "more")
        self._row = site.macro("_actions.html", "row")
        self._detail = site.macro("_detail.html", "detail")

    async def page(self, op: Op, request: Request) -> Response:
        place = await self._site.place(op, request, "runs")
        run = self._run(request)
        query = RunQuery.parse(request.query_params)
        window = await console_views.window(op, run, query.look)
        shown = self._render(window, query, now=op.now)
        selected = await self._render_detail(op, ActionKey(*run, query.selected), now=op.now)
        form_key = forms.key(request)
        response = self._site.response(
            "run.html",
            place=place,
            run=run,
            window=window,
            query=query,
            shown=shown,
            detail=selected,
            bars_from=timeline.milliseconds(window.head.created_at),
            token=forms.token(form_key, addresses.abort(run)),
        )
        forms.remember(request, response, form_key)
        return response

    async def live(self, op: Op, request: Request) -> Response:
        run = self._run(request)
        # Before the stream begins: a browser would come back each second to one that ends at once.
        if await console_views.action_revision(op, ActionKey(*run, ROOT_ACTION)) is None:
            raise NotFound(f"run {run.run}: not found in {run.project}/{run.domain}")
        return EventStream(self._events(op, run, RunQuery.parse(request.query_params)))

    async def abort(self, op: Op, request: Request) -> Response:
        """Back to the run's page, whose stream then tells of the abort."""
        run = self._run(request)
        fields = await forms.read(request)
        reason = fields.get("reason", "").strip()[:_LONGEST_REASON] or f"aborted by {op.who.name} in the console"
        await runs.abort(op, self._site.hub, run, reason=reason)
        return RedirectResponse(addresses.run(run), status_code=303)

    def _run(self, request: Request) -> RunKey:
        return RunKey(*self._site.scope(request), name(request.path_params["run"], what="run"))

    async def _events(self, op: Op, run: RunKey, query: RunQuery) -> AsyncGenerator[str]:
        seen = Seen()
        pulse = Pulse(self._site.settings.progress_every)
        selected = ActionKey(*run, query.selected)
        looks = console_views.watch_run(op, self._site.hub, run, look_every=pulse.every)
        async with aclosing(looks):
            async for revision in looks:
                if revision is None:
                    said = ""
                else:
                    # A rendering may be of a later revision than it is kept for, never of an earlier one.
                    look = partial(self._look, op, run, query)
                    window, settled = await self._windows.get((run, query.look, revision), look)
                    shown = await self._live_detail(op, selected)
                    regions = {**window.regions, "detail": shown}
                    said = seen.differences(Rendered(regions=regions, rows=window.rows))
                    if settled:
                        yield said + event("over")
                        return
                if said := pulse.beat(said):
                    yield said

    async def _look(self, op: Op, run: RunKey, query: RunQuery) -> tuple[Rendered, bool]:
        window = await console_views.window(op, run, query.look)
        return self._render(window, query, now=None), window.settled

    async def _live_detail(self, op: Op, key: ActionKey) -> str:
        revision = await console_views.action_revision(op, key)
        return await self._details.get((key, revision), partial(self._render_detail, op, key, now=None))

    def _render(self, window: Window, query: RunQuery, *, now: datetime | None) -> Rendered:
        error = window.head.error
        message = run_definition_pb2.ErrorInfo.FromString(error) if error and window.head.phase in _FAILED else None
        scale = timeline.Scale.of(window, now=now)
        rows: dict[str, str] = {}
        for node in window.nodes:
            html = self._row(window.run, query, node, scale, now)
            rows[node.id] = html
        return Rendered(
            regions={
                "head": self._head(window, message, now),
                "counts": self._counts(window, query),
                "more": self._more(window, query),
            },
            rows=rows,
        )

    async def _render_detail(self, op: Op, key: ActionKey, *, now: datetime | None) -> str:
        try:
            details = await run_views.details(op, key)
        except NotFound:
            # The run exists: an address of an action that is not there (yet) is still its page.
            return self._detail(None, key.action, now)
        uris = await run_views.uris(op, key)
        return self._detail(detail.facts(details, uris), key.action, now)


_FAILED = frozenset({Phase.FAILED, Phase.TIMED_OUT})
