"""Watches of lists: the snapshot, then what changes, until it is the same as the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio
from flyteidl2.common import list_pb2

from signalbox.api import filters
from signalbox.control import run_views
from signalbox.control.hub import Hub, run_topic, scope_topic
from signalbox.control.run_views import EnrichedView
from signalbox.errors import Invalid
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from signalbox.store.run_views import Among, Conditions
from support.builders import ORG, SCOPE, START, a_run, actions_of, an_op, enter

Filter = list_pb2.Filter
LONG = timedelta(seconds=30)


@pytest_asyncio.fixture
async def hub(database_url: str) -> AsyncGenerator[Hub]:
    made = Hub(database_url, stream_max_age=timedelta(minutes=10))
    yield made
    made.drain()


def _phases(views: Sequence[EnrichedView]) -> dict[str, Phase]:
    return {view.action.row.name: view.action.row.phase for view in views}


async def test_actions_are_all_told_parents_first_and_then_those_that_change(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, ["z"])
        await actions_of(tx, run, {"a": Phase.SUCCEEDED, "b": Phase.QUEUED}, parent="z")
    watch = run_views.watch_actions(an_op(db), hub, run, progress_every=LONG)

    snapshot = await anext(watch)

    assert [view.action.row.name for view in snapshot] == ["a0", "z", "a", "b"]
    assert snapshot[1].children == {Phase.SUCCEEDED: 1, Phase.QUEUED: 1}
    assert snapshot[2].children == {}

    assert await anext(watch) == []  # nothing happened during the snapshot
    async with db.transaction() as tx:
        await enter(tx, ActionKey(*run, "b"), Phase.RUNNING)
        await actions_of(tx, run, ["c"], parent="b")
    hub.publish([run_topic(run)])
    changed = await asyncio.wait_for(anext(watch), 5)

    assert _phases(changed) == {"z": Phase.QUEUED, "b": Phase.RUNNING, "c": Phase.QUEUED}
    assert [view.action.row.name for view in changed] == ["z", "b", "c"]
    assert changed[0].children == {Phase.SUCCEEDED: 1, Phase.RUNNING: 1}
    assert changed[1].children == {Phase.QUEUED: 1}


async def test_the_fold_of_a_watch_under_writes_is_the_table(db: Database, hub: Hub) -> None:
    """More than a batch of actions, changed while the snapshot is told."""
    names = [f"c{number:04}" for number in range(1200)]
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, names)

    async def write() -> None:
        for name in names[::60]:
            async with db.transaction() as tx:
                await enter(tx, ActionKey(*run, name), Phase.RUNNING)
                await actions_of(tx, run, [f"{name}-leaf"], parent=name)
                await enter(tx, ActionKey(*run, name), Phase.SUCCEEDED)
            hub.publish([run_topic(run)])

    fold: dict[str, EnrichedView] = {}
    writing = asyncio.create_task(write())
    watch = run_views.watch_actions(an_op(db), hub, run, progress_every=timedelta(seconds=0.2))
    async for views in watch:
        for view in views:
            assert view.action.row.parent == "" or view.action.row.parent in fold, "a child came before its parent"
            fold[view.action.row.name] = view
        if not views and writing.done():
            break

    async with db.autocommit() as tx:
        cursor = await tx.execute("SELECT name, phase FROM action")
        table = {name: Phase(phase) for name, phase in await cursor.fetchall()}
    assert _phases(list(fold.values())) == table
    assert fold[ROOT_ACTION].children == {Phase.SUCCEEDED: 20, Phase.QUEUED: 1180}


async def test_a_quiet_watch_of_actions_says_that_it_lives(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)
    watch = run_views.watch_actions(an_op(db), hub, run, progress_every=timedelta(seconds=0.1))
    await anext(watch)

    for _ in range(2):
        assert await asyncio.wait_for(anext(watch), 5) == []


@pytest.mark.parametrize(
    ("requested", "meeting"),
    [
        ([], ["a0", "good", "bad"]),
        ([Filter(field="PHASE", function=Filter.VALUE_IN, values=["5", "4"])], ["a0", "good"]),
        ([Filter(field="NAME", function=Filter.CONTAINS_CASE_INSENSITIVE, values=["LEAF"])], ["good", "bad"]),
        ([Filter(field="NAME", function=Filter.CONTAINS_CASE_INSENSITIVE, values=["BA"])], ["bad"]),
        (
            [
                Filter(field="NAME", function=Filter.CONTAINS_CASE_INSENSITIVE, values=["leaf"]),
                Filter(field="PHASE", function=Filter.VALUE_IN, values=["6"]),
            ],
            ["bad"],
        ),
    ],
)
async def test_a_watch_marks_what_meets_its_filters(
    db: Database, hub: Hub, requested: list[Filter], meeting: list[str]
) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, {"good": Phase.SUCCEEDED, "bad": Phase.FAILED})
    meets = filters.meets(requested)

    snapshot = await anext(run_views.watch_actions(an_op(db), hub, run, progress_every=LONG))

    assert [view.action.row.name for view in snapshot if meets(view.action)] == meeting


@pytest.mark.parametrize(
    "one",
    [
        Filter(field="colour", values=["x"]),
        Filter(field="PHASE", function=Filter.NOT_EQUAL, values=["5"]),
        Filter(field="NAME", function=Filter.ENDS_WITH, values=["x"]),
        Filter(field="PHASE", function=Filter.VALUE_IN, values=["running"]),
    ],
)
def test_filters_that_a_watch_does_not_have_are_refused(one: Filter) -> None:
    with pytest.raises(Invalid, match=one.field.lower()):
        filters.meets([Filter(field=one.field.lower(), function=one.function, values=one.values)])


async def test_runs_are_told_and_then_those_that_begin_or_change(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        first = await a_run(tx, "r1", phase=Phase.RUNNING)
        await a_run(tx, "r2", phase=Phase.SUCCEEDED, created_at=START + timedelta(minutes=1))
    watch = run_views.watch_runs(an_op(db), hub, ORG, SCOPE, Conditions(), progress_every=LONG)

    assert [view.row.run for view in await anext(watch)] == ["r1", "r2"]

    async with db.transaction() as tx:
        await enter(tx, ActionKey(*first, ROOT_ACTION), Phase.SUCCEEDED)
        await a_run(tx, "r3", created_at=START + timedelta(minutes=2))
    hub.publish([scope_topic(SCOPE)])

    told = {view.row.run: view.row.phase for view in await asyncio.wait_for(anext(watch), 5)}
    assert told == {"r1": Phase.SUCCEEDED, "r3": Phase.QUEUED}


async def test_a_run_older_than_the_newest_page_is_followed_to_its_end(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        old = await a_run(tx, "old", phase=Phase.RUNNING)
        for number in range(run_views.WATCHED_RUNS - 1):
            await a_run(tx, f"r{number}", created_at=START + timedelta(minutes=1), phase=Phase.SUCCEEDED)
    watch = run_views.watch_runs(an_op(db), hub, ORG, SCOPE, Conditions(), progress_every=LONG)
    assert len(await anext(watch)) == run_views.WATCHED_RUNS

    async with db.transaction() as tx:
        await a_run(tx, "new", created_at=START + timedelta(minutes=2))
    hub.publish([scope_topic(SCOPE)])
    assert [view.row.run for view in await asyncio.wait_for(anext(watch), 5)] == ["new"]

    async with db.transaction() as tx:
        await enter(tx, ActionKey(*old, ROOT_ACTION), Phase.FAILED)
    hub.publish([scope_topic(SCOPE)])
    assert [view.row.run for view in await asyncio.wait_for(anext(watch), 5)] == ["old"]


async def test_a_watch_of_an_org_needs_no_hints(db: Database, hub: Hub) -> None:
    watch = run_views.watch_runs(an_op(db), hub, ORG, None, Conditions(), progress_every=timedelta(seconds=0.3))
    assert await anext(watch) == []

    async with db.transaction() as tx:
        await a_run(tx)

    while not (told := await asyncio.wait_for(anext(watch), 5)):
        pass
    assert [view.row.run for view in told] == ["r1"]


@pytest.mark.parametrize(
    "conditions",
    [Conditions(task_name=Among(["main.greet"]), task_version=Among(["v2"])), Conditions(cluster="one")],
)
async def test_a_watch_of_runs_has_a_narrower_target(db: Database, hub: Hub, conditions: Conditions) -> None:
    async with db.transaction() as tx:
        await a_run(tx, "r1")
        await a_run(tx, "r2", version="v2", phase=Phase.RUNNING)

    told = await anext(run_views.watch_runs(an_op(db), hub, ORG, SCOPE, conditions, progress_every=LONG))

    assert [view.row.run for view in told] == ["r2"]


async def test_watches_let_go_of_their_topics(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run: RunKey = await a_run(tx)
    watch = run_views.watch_actions(an_op(db), hub, run, progress_every=LONG)
    await anext(watch)
    assert isinstance(watch, AsyncGenerator)

    await watch.aclose()

    assert hub._waiting == {}  # pyright: ignore[reportPrivateUsage]  # nothing public tells of a leak
