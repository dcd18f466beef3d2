"""Whatever task processes, clusters and people do, in whatever order: the invariants hold, and everything ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from signalbox.control import conditions, runs
from signalbox.errors import Precondition
from signalbox.ids import ActionKey
from signalbox.rules.phases import REPORTABLE, TERMINAL, Phase
from signalbox.rules.timers import Owner
from signalbox.store import outbox, work
from signalbox.store.actions import Kind
from signalbox.store.db import Database
from signalbox.store.new_actions import NewAction
from signalbox.store.work import Held
from support.database import Server
from support.engine import CLUSTER, RUN, USER_ERROR, Engine, new_action, report
from support.invariants import violations

T = TypeVar("T")

LIMITED = RUN._replace(run="limited")
MINUTE = timedelta(minutes=1)
MORE = os.environ.get("SIGNALBOX_TEST_EXAMPLES")

outcomes = st.tuples(
    st.integers(0, 30),  # which grant, counted from the newest
    st.sampled_from(sorted(REPORTABLE)) | st.sampled_from([Phase.RUNNING, Phase.FAILED, Phase.SUCCEEDED]),
    st.booleans(),  # recoverable
    st.integers(0, 4).map(lambda n: n == 0),  # an error of the platform
)
batches = st.lists(outcomes, min_size=1, max_size=6)
bounds = st.fixed_dictionaries(
    {},
    optional={
        "run_timeout": st.just(MINUTE),
        "queued_timeout": st.just(MINUTE),
        "deadline_after": st.just(MINUTE * 5),
        "backoff_base": st.just(MINUTE * 2),
        "is_serialized": st.just(True),
        "cache_key": st.sampled_from(["", "k1", "k2"]),
    },
)


class World(RuleBasedStateMachine):
    """One cluster, one run without and one with a limit of actions, in a database that is emptied first."""

    def __init__(self, runner: asyncio.Runner, engine: Engine) -> None:
        super().__init__()
        self.runner = runner
        self.engine = engine
        self.names = 0
        self.sessions = 0
        self.grants: list[Held] = []
        self.over: dict[ActionKey, Phase] = {}

    def do(self, what: Coroutine[object, object, T]) -> T:
        return self.runner.run(what)

    @initialize(retries=st.integers(0, 2), limit=st.integers(2, 3))
    def begin(self, retries: int, limit: int) -> None:
        self.do(self._begin(retries, limit))

    async def _begin(self, retries: int, limit: int) -> None:
        async with self.engine.db.transaction() as tx:
            await tx.execute(
                """
                TRUNCATE run, action, work, event, outbox, audit, cluster, cache_entry, cache_reservation, queue_turn
                 CASCADE"""
            )
        await self.engine.begin(retries=retries)
        await self.engine.begin(LIMITED, max_actions=limit)
        await self.engine.open_stream()

    @rule(
        parent=st.integers(0, 30),
        retries=st.integers(0, 2),
        bounds=bounds,
        count=st.integers(1, 3),
        is_condition=st.integers(0, 5).map(lambda n: n == 0),
        again=st.booleans(),
    )
    def enqueue(
        self, *, parent: int, retries: int, bounds: dict[str, object], count: int, is_condition: bool, again: bool
    ) -> None:
        live = self.do(self._actions(live=True))
        if not live:
            return
        above = live[parent % len(live)]
        children: list[NewAction] = []
        for _ in range(count):
            self.names += 1
            child = new_action(f"c{self.names}", above.action, run=above.run_key, retries=retries)._replace(**bounds)  # pyright: ignore[reportArgumentType]  # as drawn
            if is_condition:
                child = child._replace(kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON, cache_key="")
            children.append(child)
        self.do(self.engine.enqueue(*children))
        if again:
            self.do(self.engine.enqueue_anew(*children))

    @rule(capacity=st.sampled_from([2, 1000]))
    def resize(self, capacity: int) -> None:
        held = self.do(self._held())
        assert self.do(self.engine.open_stream(*held, session=f"s{self.sessions}", capacity=capacity)) == 0

    @rule()
    def lease(self) -> None:
        before = self.do(self._held())
        self.do(self.engine.lease())
        self.grants += [held for held in self.do(self._held()) if held not in before]

    @rule(batch=batches)
    def tell(self, batch: list[tuple[int, Phase, bool, bool]]) -> None:
        if not self.grants:
            return
        self.do(
            self.engine.report(
                *(
                    report(
                        self.grants[-1 - which % len(self.grants)],
                        phase,
                        error=USER_ERROR if phase is Phase.FAILED else None,
                        recoverable=recoverable,
                        error_system=system,
                    )
                    for which, phase, recoverable, system in batch
                )
            )
        )

    @rule(which=st.integers(0, 30))
    def abort_an_action(self, which: int) -> None:
        known = self.do(self._actions(live=False))
        self.do(self.engine.abort(known[which % len(known)]))

    @rule(limited=st.booleans(), surely=st.integers(0, 3))
    def abort_a_run(self, limited: bool, surely: int) -> None:
        if surely == 0:  # not often: little happens afterwards
            self.do(runs.abort(self.engine.user, self.engine.hub, LIMITED if limited else RUN, reason="enough"))

    @rule(by=st.sampled_from([MINUTE, MINUTE * 3, MINUTE * 61]), batch=batches | st.just([]))
    def time_passes(self, by: timedelta, batch: list[tuple[int, Phase, bool, bool]]) -> None:
        self.do(self.engine.age(by))
        self.tell(batch)
        self.do(self.engine.look())

    @rule(kept=st.lists(st.booleans(), max_size=8), restarts=st.booleans())
    def lose_grants(self, kept: list[bool], restarts: bool) -> None:
        self.sessions += restarts
        held = self.do(self._held())
        still = [grant for grant, keep in zip(held, kept + [False] * len(held), strict=False) if keep]
        lost = self.do(self.engine.open_stream(*still, session=f"s{self.sessions}"))
        assert lost == len(held) - len(still)

    @rule(which=st.integers(0, 30))
    def answer(self, which: int) -> None:
        waiting = self.do(self._actions(live=True, kind=Kind.CONDITION))
        if waiting:
            key = waiting[which % len(waiting)]
            self.do(conditions.signal(self.engine.user, self.engine.hub, key, parent="", value=b""))

    @invariant()
    def what_must_hold_holds(self) -> None:
        assert violations(self.engine.db.conninfo) == {}

    @invariant()
    def what_is_over_stays_as_it_is(self) -> None:
        now = self.do(self._over())
        assert {key: now.get(key) for key in self.over} == self.over
        self.over = now

    def teardown(self) -> None:
        """Once nothing more is asked for, all ends: reports come, time passes, and nobody is left to be told."""
        for _ in range(30):
            self.do(self.engine.open_stream(*self.do(self._held()), session=f"s{self.sessions}"))
            self.do(self.engine.lease())
            told = self.do(self._told())
            ends = [
                report(held, Phase.ABORTED if held.key in told else Phase.SUCCEEDED)
                for held in reversed(self.do(self._held()))
            ]
            if ends:
                self.do(self.engine.report(*ends))
            self.do(self.engine.age(MINUTE * 61))
            self.do(self.engine.look())
            for key in self.do(self._actions(live=True, kind=Kind.CONDITION)):
                try:
                    self.do(conditions.signal(self.engine.user, self.engine.hub, key, parent="", value=b""))
                except Precondition:  # it was below one that was answered before
                    continue
            if not self.do(self._actions(live=True)):
                break
        assert self.do(self._actions(live=True)) == []
        assert self.do(self._told()) == set()
        assert violations(self.engine.db.conninfo) == {}

    async def _actions(self, *, live: bool, kind: Kind | None = None) -> list[ActionKey]:
        async with self.engine.db.autocommit() as tx:
            cursor = await tx.execute(
                """
                SELECT org, project, domain, run, name FROM action
                 WHERE (%(kind)s::text IS NULL OR kind = %(kind)s::text)
                   AND (NOT %(live)s OR phase <> ALL(%(over)s::text[])) ORDER BY run, created_revision""",
                {"kind": kind, "live": live, "over": list(TERMINAL)},
            )
            return [ActionKey(*row) for row in await cursor.fetchall()]

    async def _over(self) -> dict[ActionKey, Phase]:
        async with self.engine.db.autocommit() as tx:
            cursor = await tx.execute(
                "SELECT org, project, domain, run, name, phase FROM action WHERE phase = ANY(%(over)s::text[])",
                {"over": list(TERMINAL)},
            )
            return {ActionKey(*row[:5]): Phase(row[5]) for row in await cursor.fetchall()}

    async def _held(self) -> list[Held]:
        async with self.engine.db.autocommit() as tx:
            return await work.held_by(tx, CLUSTER)

    async def _told(self) -> set[ActionKey]:
        async with self.engine.db.autocommit() as tx:
            return {abort.key for abort in await outbox.aborts(tx, CLUSTER, after=0)}


@pytest.mark.slow
@pytest.mark.timeout(0 if MORE else 120)
def test_the_invariants_hold_whatever_happens(postgres: Server) -> None:
    with postgres.database() as url, asyncio.Runner() as runner:
        db = Database(url, size=4)

        class Here(World):
            def __init__(self) -> None:
                super().__init__(runner, Engine(db))

        runner.run(db.__aenter__())
        try:
            run_state_machine_as_test(
                Here,
                settings=settings(
                    max_examples=int(MORE or 20),
                    stateful_step_count=30,
                    derandomize=MORE is None,
                    # To shrink takes minutes: in CI the first failure is told as it is.
                    phases=[Stage.generate, Stage.shrink] if MORE else [Stage.generate],
                    database=None,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(db.__aexit__())
