"""Lists of runs and actions: what each filter leaves, the order, and pages while others insert."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flyteidl2.common import list_pb2

from signalbox.api import filter_words, filters
from signalbox.control import run_views
from signalbox.errors import Forbidden, Invalid, NotFound
from signalbox.ids import ActionKey, RunKey, ScopeKey
from signalbox.op import Kind, Principal
from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from signalbox.store.run_views import Conditions
from support.builders import ORG, SCOPE, START, a_run, actions_of, an_op, enter

Filter = list_pb2.Filter

NOBODY = Principal(kind=Kind.USER, subject="nobody", name="Nobody", roles=frozenset())


async def _runs(
    db: Database,
    *requested: Filter,
    scope: ScopeKey | None = SCOPE,
    descending: bool = False,
    paused_only: bool = False,
) -> list[str]:
    conditions = filters.of_runs(requested, but=Conditions(paused_only=paused_only))
    page = await run_views.list_runs(an_op(db), ORG, scope, conditions, after=None, descending=descending, limit=100)
    return [view.row.run for view in page.items]


async def _actions(db: Database, run: RunKey, *requested: Filter, descending: bool = False) -> list[str]:
    conditions = filters.of_actions(requested)
    page = await run_views.list_actions(an_op(db), run, conditions, after=None, descending=descending, limit=100)
    return [view.row.name for view in page.items]


def _at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
async def three(db: Database) -> Database:
    async with db.transaction() as tx:
        await a_run(tx, "r1", created_at=_at(1), phase=Phase.SUCCEEDED, labels={"team": "a", "tier": "x"})
        await a_run(tx, "r2", created_at=_at(2), phase=Phase.FAILED, labels={"team": "b"}, task="other.Train.fit")
        await a_run(tx, "r3", created_at=_at(3), created_by="user:ann", version="v2")
    return db


async def test_runs_come_newest_or_oldest_first(three: Database) -> None:
    assert await _runs(three, descending=True) == ["r3", "r2", "r1"]
    assert await _runs(three) == ["r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (Filter(field="phase", values=["5"]), ["r1"]),
        (Filter(field="phase", function=Filter.VALUE_IN, values=["5", "6"]), ["r1", "r2"]),
        (Filter(field="phase", function=Filter.NOT_EQUAL, values=["5"]), ["r2", "r3"]),
        (Filter(field="phase", function=Filter.VALUE_NOT_IN, values=["5", "6"]), ["r3"]),
        (Filter(field="task_name", values=["main.greet"]), ["r1", "r3"]),
        (
            Filter(field="task_name", function=Filter.VALUE_IN, values=["main.greet", "other.Train.fit"]),
            ["r1", "r2", "r3"],
        ),
        (Filter(field="task_name", function=Filter.CONTAINS, values=["Train"]), ["r2"]),
        (Filter(field="task_name", function=Filter.CONTAINS, values=["train"]), []),
        (Filter(field="task_name", function=Filter.CONTAINS_CASE_INSENSITIVE, values=["TRAIN"]), ["r2"]),
        (Filter(field="task_name", function=Filter.CONTAINS, values=["m.in"]), []),
        (Filter(field="task_name", function=Filter.ENDS_WITH, values=["greet"]), ["r1", "r3"]),
        (Filter(field="task_name", function=Filter.NOT_ENDS_WITH, values=["greet"]), ["r2"]),
        (Filter(field="task_name", function=Filter.NOT_EQUAL, values=["main.greet"]), ["r2"]),
        (Filter(field="task_name", function=Filter.VALUE_NOT_IN, values=["main.greet", "main"]), ["r2"]),
        (Filter(field="task_version", values=["v2"]), ["r3"]),
        (Filter(field="function_name", values=["fit"]), ["r2"]),
        (Filter(field="name", values=["r2"]), ["r2"]),
        (Filter(field="run_name", function=Filter.CONTAINS, values=["r"]), ["r1", "r2", "r3"]),
        (Filter(field="created_by", values=["ann"]), ["r3"]),
        (Filter(field="created_by", function=Filter.VALUE_IN, values=["ann", "developer"]), ["r1", "r2", "r3"]),
        (Filter(field="labels.team", values=["b"]), ["r2"]),
        (Filter(field="labels.team", function=Filter.EXISTS), ["r1", "r2"]),
        (Filter(field="labels.tier", function=Filter.NOT_EXISTS), ["r2", "r3"]),
        (Filter(field="created_at", function=Filter.GREATER_THAN_OR_EQUAL, values=[_at(2).isoformat()]), ["r2", "r3"]),
        (Filter(field="created_at", function=Filter.GREATER_THAN, values=[_at(2).isoformat()]), ["r3"]),
        (Filter(field="created_at", function=Filter.LESS_THAN, values=[_at(2).isoformat()]), ["r1"]),
        (
            Filter(field="created_at", function=Filter.LESS_THAN_OR_EQUAL, values=["2026-11-23T12:02:00.000Z"]),
            ["r1", "r2"],
        ),
        (Filter(field="updated_at", function=Filter.GREATER_THAN, values=[_at(2).isoformat()]), ["r2", "r3"]),
    ],
)
async def test_a_filter_leaves_exactly_what_meets_it(three: Database, one: Filter, left: list[str]) -> None:
    assert await _runs(three, one) == left


async def test_filters_narrow_each_other(three: Database) -> None:
    both = [Filter(field="labels.team", values=["a"]), Filter(field="labels.tier", values=["x"])]
    assert await _runs(three, *both) == ["r1"]
    assert await _runs(three, *both, Filter(field="phase", values=["6"])) == []
    assert (
        await _runs(three, Filter(field="labels.team", values=["a"]), Filter(field="labels.team", values=["b"])) == []
    )
    assert await _runs(three, Filter(field="name", values=["r1"]), Filter(field="name", values=["r2"])) == []


@pytest.mark.parametrize(
    "one",
    [
        Filter(field="colour", values=["red"]),
        Filter(field="phase", values=["x"]),
        Filter(field="phase", values=["0"]),
        Filter(field="phase", values=["99"]),
        Filter(field="phase", function=Filter.CONTAINS, values=["5"]),
        Filter(field="phase"),
        Filter(field="task_name", values=["a", "b"]),
        Filter(field="task_name", function=Filter.EXISTS, values=["a"]),
        Filter(field="created_at", values=["2026-11-23T12:02:00Z"]),
        Filter(field="created_at", function=Filter.LESS_THAN, values=["yesterday"]),
        Filter(field="created_at", function=Filter.LESS_THAN, values=["2026-11-23T12:02:00"]),
        Filter(field="labels.team", function=Filter.CONTAINS, values=["a"]),
        Filter(field="name", values=["x" * 513]),
        Filter(field="name", values=["a\0b"]),
    ],
)
async def test_what_cannot_be_filtered_is_refused_by_name(one: Filter) -> None:
    with pytest.raises(Invalid, match=one.field):
        filters.of_runs([one])


async def test_an_org_shows_the_runs_of_all_its_projects_and_of_no_other_org(db: Database) -> None:
    async with db.transaction() as tx:
        await a_run(tx, "r1", created_at=_at(1))
        await a_run(tx, "r1", scope=ScopeKey(ORG, "other", "production"), created_at=_at(2))
        await a_run(tx, "r9", scope=ScopeKey("elsewhere", "flytesnacks", "development"))

    assert await _runs(db, scope=None) == ["r1", "r1"]
    assert await _runs(db) == ["r1"]


async def test_paused_only_shows_runs_with_a_paused_action(db: Database) -> None:
    async with db.transaction() as tx:
        await a_run(tx, "r1")
        waiting = await a_run(tx, "r2")
        await actions_of(tx, waiting, {"gate": Phase.PAUSED})

    assert await _runs(db, paused_only=True) == ["r2"]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("task", [None, "main.greet"])
@pytest.mark.parametrize("whole_org", [True, False])
async def test_pages_of_runs_neither_skip_nor_repeat_while_runs_begin(
    db: Database, descending: bool, task: str | None, whole_org: bool
) -> None:
    async with db.transaction() as tx:
        for number in range(10):
            await a_run(tx, f"r{number}", created_at=_at(number // 3))
    conditions = filters.of_runs([Filter(field="task_name", values=[task])] if task else [])
    scope = None if whole_org else SCOPE

    seen: list[str] = []
    after = None
    while True:
        page = await run_views.list_runs(an_op(db), ORG, scope, conditions, after=after, descending=descending, limit=3)
        assert len(page.items) <= 3
        seen += [view.row.run for view in page.items]
        async with db.transaction() as tx:
            await a_run(tx, f"new{len(seen)}", created_at=_at(60) if descending else _at(-60))
        if (after := page.next) is None:
            break

    assert seen == sorted((f"r{number}" for number in range(10)), reverse=descending)


async def test_actions_come_in_order_of_creation(db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, ["zeta", "alpha"])
        await enter(tx, ActionKey(*run, "zeta"), Phase.RUNNING)
        await actions_of(tx, run, ["beta"], parent="alpha")

    assert await _actions(db, run) == ["a0", "zeta", "alpha", "beta"]
    assert await _actions(db, run, descending=True) == ["beta", "alpha", "zeta", "a0"]


@pytest.mark.parametrize(
    ("one", "left"),
    [
        (Filter(field="phase", values=["6"]), ["bad"]),
        (Filter(field="parent_name", values=["a0"]), ["good", "bad"]),
        (Filter(field="parent_name", function=Filter.VALUE_IN, values=["good", "bad"]), ["leaf"]),
        (Filter(field="action_type", values=["1"]), ["a0", "good", "bad", "leaf"]),
        (Filter(field="action_type", values=["3"]), []),
        (Filter(field="action_type", function=Filter.NOT_EQUAL, values=["3"]), ["a0", "good", "bad", "leaf"]),
        (Filter(field="name", function=Filter.CONTAINS, values=["oo"]), ["good"]),
        (filter_words.parse("action_type == 3")[0], []),
        (filter_words.parse("phase != 6")[0], ["a0", "good", "leaf"]),
        (filter_words.parse("value_in(phase, 5;6)")[0], ["good", "bad"]),
    ],
)
async def test_a_filter_of_actions_leaves_exactly_what_meets_it(db: Database, one: Filter, left: list[str]) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        good, bad = await actions_of(tx, run, ["good", "bad"])
        await actions_of(tx, run, ["leaf"], parent="good")
        await enter(tx, good, Phase.SUCCEEDED)
        await enter(tx, bad, Phase.FAILED)

    assert await _actions(db, run, one) == left


@pytest.mark.parametrize("text", ["action_type", "action_type ~ 3", "like(name, x)", "eq(name)", "phase == 5 AND x"])
async def test_raw_filters_that_are_not_understood_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="filter"):
        filters.of_actions(filter_words.parse(text))


async def test_pages_of_actions_neither_skip_nor_repeat_while_actions_are_enqueued(db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        await actions_of(tx, run, [f"c{number:02}" for number in range(20)])

    seen: list[str] = []
    after = None
    while True:
        page = await run_views.list_actions(an_op(db), run, Conditions(), after=after, descending=False, limit=7)
        seen += [view.row.name for view in page.items]
        if len(seen) == 7:
            # An earlier clock and a smaller name: it was enqueued later all the same, and comes last.
            async with db.transaction() as tx:
                await actions_of(tx, run, ["a00"], created_at=START - timedelta(hours=1))
        if (after := page.next) is None:
            break

    assert seen == ["a0", *(f"c{number:02}" for number in range(20)), "a00"]


async def test_a_run_that_does_not_exist_is_not_an_empty_one(db: Database) -> None:
    with pytest.raises(NotFound, match="run local/flytesnacks/development/nope"):
        await _actions(db, RunKey(*SCOPE, "nope"))


async def test_lists_need_the_permission(db: Database) -> None:
    op = an_op(db, NOBODY)
    with pytest.raises(Forbidden, match=r"run\.read"):
        await run_views.list_runs(op, ORG, None, Conditions(), after=None, descending=True, limit=1)
    with pytest.raises(Forbidden, match=r"run\.read"):
        await run_views.list_actions(op, RunKey(*SCOPE, "r"), Conditions(), after=None, descending=True, limit=1)
