"""Before the first ANALYZE of a database the planner knows nothing: the right index is taken all the same."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from signalbox.ids import ActionKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.timers import Cause
from signalbox.store import actions, children, console_views, run_views, work
from signalbox.store.run_views import ActionPosition, Conditions
from support.engine import NOW, ROOT, RUN, Engine, new_action
from support.plans import Explaining

USED = re.compile(r"Scan (?:Backward )?using (\w+) on (?:action|work)\b")
KEYS = [ActionKey(*RUN, f"c{number}") for number in (7, 700)]
POSITION = ActionPosition(500)

QUERIES: dict[str, tuple[set[str], Callable[[Any], Awaitable[object]]]] = {
    "phases": ({"action_pkey", "work_pkey"}, lambda tx: actions.send_phases(tx, KEYS)),
    "states": ({"action_pkey", "work_pkey"}, lambda tx: actions.send_states(tx, KEYS)),
    "intents to abort": (
        {"action_pkey"},
        lambda tx: actions.request_abort(tx, KEYS, reason="enough", by="ann", at=NOW),
    ),
    "intents to stop": ({"action_pkey"}, lambda tx: actions.request_timeout(tx, KEYS, [Cause.RUN, Cause.RUN])),
    "statuses": ({"action_pkey"}, lambda tx: actions.set_cache_status(tx, KEYS, CacheStatus.HIT)),
    "what lives below": ({"action_child"}, lambda tx: actions.live_below(tx, [ROOT], limit=9)),
    "locks": ({"work_pkey"}, lambda tx: work.lock(tx, KEYS)),
    "ends": ({"work_pkey"}, lambda tx: work.delete(tx, KEYS)),
    "children": ({"action_pkey", "action_child"}, lambda tx: children.snapshot(tx, ROOT)),
    "children that changed": ({"action_pkey"}, lambda tx: children.changed(tx, ROOT, after=900)),
    "counts of children": ({"action_child"}, lambda tx: run_views.phase_counts(tx, RUN, ["a0"])),
    "parts of a tree": ({"action_child"}, lambda tx: console_views.parts(tx, RUN, ["a0"])),
    "actions": (
        {"action_created"},
        lambda tx: run_views.actions(tx, RUN, Conditions(), after=POSITION, descending=False, limit=9),
    ),
    "actions, newest first": (
        {"action_created"},
        lambda tx: run_views.actions(tx, RUN, Conditions(), after=POSITION, descending=True, limit=9),
    ),
    "actions on a page": (
        {"action_created"},
        lambda tx: console_views.page(tx, RUN, phases=None, parent=None, group=None, after=POSITION, limit=9),
    ),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_a_database_without_statistics_reads_no_whole_run_for_one_action(engine: Engine, name: str) -> None:
    await engine.enqueue(*(new_action(f"c{number}") for number in range(1000)))
    wanted, query = QUERIES[name]
    async with engine.db.transaction() as tx:
        explaining = Explaining(tx)
        await query(explaining)

    (plan,) = explaining.plans
    assert set(USED.findall(plan)) == wanted, plan
    assert not re.search(r"Seq Scan on (action|work)", plan), plan
