"""Reading runs and actions: one, pages of many, and watches that say what changes.

A watch subscribes before its first look, says something at once, and then at least every `progress_every`. What it
tells is always the newest state, read again: it may leave out states in between, never the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

from flyteidl2.task import task_definition_pb2

from signalbox.control.hub import Hub, Subscription, run_topic, scope_topic
from signalbox.control.silence import Silence
from signalbox.errors import NotFound
from signalbox.ids import ActionKey, RunKey, ScopeKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.roles import Permission
from signalbox.store import action_details, cluster_events, run_views, specs
from signalbox.store.action_details import Attempt, Entered, Rest, Uris
from signalbox.store.cluster_events import ClusterEvent
from signalbox.store.db import Tx
from signalbox.store.run_views import ActionPosition, ActionRow, Conditions, RunPosition

T = TypeVar("T")
P = TypeVar("P")

WATCHED_RUNS = 100
"""A watch of runs follows the newest ones, and older ones for as long as they are not over."""

_BATCH = 500
_SHOWN_EVENTS = 100
"""Of each attempt, the newest ones: what it ended with is never what is left out."""
_UNHINTED = timedelta(seconds=2)
_ACTION_EVERY = 0.05
_LIST_EVERY = 0.5


@dataclass(frozen=True, kw_only=True)
class ActionView:
    """`task_type` is empty for what is not a task."""

    row: ActionRow
    task_type: str


class EnrichedView(NamedTuple):
    """`children`: how many direct children are in each phase."""

    action: ActionView
    children: Mapping[Phase, int]


@dataclass(frozen=True, kw_only=True)
class Details:
    """One action in full, all of one moment."""

    action: ActionView
    rest: Rest
    attempts: Sequence[Attempt]
    history: Sequence[Entered]
    cluster_events: Sequence[ClusterEvent]


class Page(NamedTuple, Generic[T, P]):
    """`next` is None on the last page."""

    items: Sequence[T]
    next: P | None


async def action(op: Op, key: ActionKey) -> ActionView:
    """Raises NotFound."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        return (await _views(tx, key.org, await _rows(tx, key)))[0]


async def details(op: Op, key: ActionKey) -> Details:
    """Raises NotFound."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        view = (await _views(tx, key.org, await _rows(tx, key)))[0]
        rest = await action_details.rest(tx, key)
        attempts = await action_details.attempts(tx, key)
        history = await action_details.history(tx, key)
        told = await cluster_events.newest(tx, key, [a.attempt for a in attempts], each=_SHOWN_EVENTS)
    assert rest is not None  # noqa: S101  # of the same snapshot as the row
    return Details(action=view, rest=rest, attempts=attempts, history=history, cluster_events=told)


async def watch_details(op: Op, hub: Hub, key: ActionKey, *, progress_every: timedelta) -> AsyncIterator[Details]:
    """The action now, at each change, and again when none comes; ends behind the terminal one. Raises NotFound."""
    op.require(Permission.RUN_READ)
    with hub.subscribe(run_topic(key.run_key)) as subscription:
        told = await details(op, key)
        yield told
        silence = Silence(progress_every)
        while told.action.row.phase not in TERMINAL:
            await _next_look(subscription, within=silence.left, apart=_ACTION_EVERY)
            # Most hints are about other actions of the run: first the one number that tells.
            async with op.db.autocommit() as tx:
                newest = await run_views.revision(tx, key)
            if silence.is_due or newest != told.action.row.revision:
                told = await details(op, key)
                yield told
                silence.broken()


async def list_runs(
    op: Op,
    org: str,
    scope: ScopeKey | None,
    conditions: Conditions,
    *,
    after: RunPosition | None,
    descending: bool,
    limit: int,
) -> Page[ActionView, RunPosition]:
    """Roots of runs, by time of creation."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        rows = await run_views.runs(tx, org, scope, conditions, after=after, descending=descending, limit=limit + 1)
        shown = rows[:limit]
        views = await _views(tx, org, shown)
    more = len(rows) > limit
    return Page(views, _run_position(shown[-1]) if more else None)


async def watch_runs(
    op: Op, hub: Hub, org: str, scope: ScopeKey | None, conditions: Conditions, *, progress_every: timedelta
) -> AsyncIterator[Sequence[ActionView]]:
    """Roots of the newest runs, then those that changed; empty when nothing did."""
    op.require(Permission.RUN_READ)
    topics = [scope_topic(scope)] if scope else []
    # There is no hint of phases in the middle of a run, nor of an org as a whole: the watch looks by itself, too.
    known: dict[RunKey, int] = {}
    silence: Silence | None = None
    with hub.subscribe(*topics) as subscription:
        while True:
            views = await _watched_runs(op, org, scope, conditions, known)
            changed = [view for view in views if known.get(view.row.key.run_key) != view.row.revision]
            newest = {view.row.key.run_key for view in views[-WATCHED_RUNS:]}
            known = {
                view.row.key.run_key: view.row.revision
                for view in views
                if view.row.phase not in TERMINAL or view.row.key.run_key in newest
            }
            if changed or silence is None or silence.is_due:
                yield changed
                silence = Silence(progress_every)
            await _next_look(subscription, within=min(silence.left, _UNHINTED), apart=_LIST_EVERY)


async def list_actions(
    op: Op, run: RunKey, conditions: Conditions, *, after: ActionPosition | None, descending: bool, limit: int
) -> Page[ActionView, ActionPosition]:
    """Actions of a run in order of creation. Raises NotFound for the run."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        await _head(tx, run)
        rows = await run_views.actions(tx, run, conditions, after=after, descending=descending, limit=limit + 1)
        shown = rows[:limit]
        views = await _views(tx, run.org, shown)
    more = len(rows) > limit
    return Page(views, ActionPosition(shown[-1].created_revision) if more else None)


async def watch_actions(
    op: Op, hub: Hub, run: RunKey, *, progress_every: timedelta
) -> AsyncIterator[Sequence[EnrichedView]]:
    """All actions of the run in batches, parents before children, then those that changed; empty when none did.

    A parent is told again when its children's phases change. Raises NotFound for the run.
    """
    op.require(Permission.RUN_READ)
    types: dict[bytes, str] = {}
    with hub.subscribe(run_topic(run)) as subscription:
        async with op.db.autocommit() as tx:
            seen = await _head(tx, run)
        # The pages are of different moments; whatever changed since `seen` is told again below.
        async for batch in _all_actions(op, run, types):
            yield batch
        silence = Silence(progress_every)
        while True:
            while changed := await _changed_actions(op, run, after=seen, types=types):
                seen, views = changed
                yield views
                silence.broken()
            if silence.is_due:
                yield []
                silence.broken()
            await _next_look(subscription, within=silence.left, apart=_LIST_EVERY)


async def uris(op: Op, key: ActionKey) -> Uris:
    """Raises NotFound."""
    op.require(Permission.RUN_READ)
    async with op.db.autocommit() as tx:
        found = await action_details.uris(tx, key)
    if found is None:
        raise NotFound(f"action {key}: not found")
    return found


async def _next_look(subscription: Subscription, *, within: timedelta, apart: float) -> None:
    """Wait for a reason to look again, or until time has passed. Looks are at least `apart` seconds apart."""
    await asyncio.sleep(apart)
    await subscription.changed(within=max(timedelta(), within - timedelta(seconds=apart)))


async def _watched_runs(
    op: Op, org: str, scope: ScopeKey | None, conditions: Conditions, known: Mapping[RunKey, int]
) -> list[ActionView]:
    """Roots of the newest runs and of the known ones, oldest first."""
    async with op.db.snapshot() as tx:
        newest = await run_views.runs(tx, org, scope, conditions, after=None, descending=True, limit=WATCHED_RUNS)
        here = {row.key.run_key for row in newest}
        older = await run_views.roots(tx, [key for key in known if key not in here])
        return await _views(tx, org, older + newest[::-1])


async def _all_actions(op: Op, run: RunKey, types: dict[bytes, str]) -> AsyncIterator[list[EnrichedView]]:
    after: ActionPosition | None = None
    while True:
        async with op.db.snapshot() as tx:
            rows = await run_views.actions(tx, run, Conditions(), after=after, descending=False, limit=_BATCH)
            views = await _enriched(tx, run, rows, types)
        if not views:
            return
        yield views
        after = ActionPosition(rows[-1].created_revision)


async def _changed_actions(
    op: Op, run: RunKey, *, after: int, types: dict[bytes, str]
) -> tuple[int, list[EnrichedView]] | None:
    """What the next events concern, and the revision up to which they were read; None when there are none."""
    async with op.db.snapshot() as tx:
        touched = await run_views.touched(tx, run, after=after, limit=_BATCH)
        if touched.upto == after:
            return None
        rows = await run_views.named(tx, run, sorted(touched.names))
        return touched.upto, await _enriched(tx, run, rows, types)


async def _enriched(tx: Tx, run: RunKey, rows: Sequence[ActionRow], types: dict[bytes, str]) -> list[EnrichedView]:
    views = await _views(tx, run.org, rows, types)
    counts = await run_views.phase_counts(tx, run, [row.name for row in rows])
    return [EnrichedView(view, counts.get(view.row.name, {})) for view in views]


async def _views(
    tx: Tx, org: str, rows: Sequence[ActionRow], types: dict[bytes, str] | None = None
) -> list[ActionView]:
    """The rows with the types of their tasks; `types` keeps those for the next call. Rows share few specs."""
    known = {} if types is None else types
    digests = {row.spec_digest for row in rows if row.spec_digest is not None}
    if missing := sorted(digests - known.keys()):
        bodies = await specs.bodies(tx, org, missing)
        known |= {d: task_definition_pb2.TaskSpec.FromString(b).task_template.type for d, b in bodies.items()}
    return [ActionView(row=row, task_type=known.get(row.spec_digest or b"", "")) for row in rows]


async def _rows(tx: Tx, key: ActionKey) -> list[ActionRow]:
    """The one row. Raises NotFound, naming the run when that is what is missing."""
    rows = await run_views.named(tx, key.run_key, [key.action])
    if not rows:
        await _head(tx, key.run_key)
        raise NotFound(f"action {key}: not found")
    return rows


async def _head(tx: Tx, run: RunKey) -> int:
    """Newest revision of the run. Raises NotFound."""
    newest = await run_views.newest_revision(tx, run)
    if newest is None:
        raise NotFound(f"run {run}: not found")
    return newest


def _run_position(row: ActionRow) -> RunPosition:
    return RunPosition(row.created_at, row.project, row.domain, row.run)
