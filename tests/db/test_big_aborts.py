"""An abort that is too large for one transaction: taken in steps, each of which leaves nothing wrong behind."""

from __future__ import annotations

import pytest

from signalbox.control import actions, leases, runs
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import aborts
from signalbox.rules.phases import Phase
from signalbox.settings import Settings
from signalbox.store.dispatch import Granted
from support.engine import NOW, RUN, USER_ERROR, Engine, new_action, report
from support.invariants import violations

PARENT = ActionKey(*RUN, "p")


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_STEP", 10)


async def below_a_parent(engine: Engine) -> Granted:
    """The parent of 50 children, of which half is held; and a neighbour lives."""
    await engine.enqueue(new_action("p"), new_action("q"))
    await engine.enqueue(*(new_action(f"c{n}", "p") for n in range(25)))
    leased = await engine.lease()
    await engine.enqueue(*(new_action(f"d{n}", "p") for n in range(25)))
    return leased["p"]


async def live(engine: Engine, *, asked: bool) -> set[str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            """
            SELECT a.name FROM action a
              JOIN work w ON (w.run, w.action) = (a.run, a.name)
             WHERE (a.abort_requested_at IS NOT NULL) = %(asked)s""",
            {"asked": asked},
        )
        return {row[0] for row in await cursor.fetchall()}


async def reconcile(engine: Engine) -> int:
    op = Op(who=RECONCILER, now=NOW, request_id="test", db=engine.db)
    return await aborts.run(op, engine.hub, Settings())


@pytest.mark.parametrize("whole", [True, False], ids=["a run", "an action"])
async def test_all_of_a_large_abort_is_done_when_it_is_answered(engine: Engine, whole: bool) -> None:
    await below_a_parent(engine)

    if whole:
        await runs.abort(engine.user, engine.hub, RUN, reason="enough")
    else:
        await engine.abort(PARENT)

    assert await live(engine, asked=False) == (set() if whole else {ROOT_ACTION, "q"})
    told = {abort.action for abort in await leases.aborts(engine.agent(), after=0)}
    assert told == {"p", *(f"c{n}" for n in range(25))} | ({ROOT_ACTION, "q"} if whole else set())
    assert await reconcile(engine) == 0


async def test_what_lives_below_a_parent_that_ended_is_aborted_step_by_step(engine: Engine) -> None:
    parent = await below_a_parent(engine)

    await engine.report(report(parent, Phase.FAILED, error=USER_ERROR))
    assert len(await live(engine, asked=False)) == 2 + 40
    assert violations(engine.db.conninfo) == {}
    steps = 0
    while await reconcile(engine):
        steps += 1
        assert violations(engine.db.conninfo) == {}

    assert steps == 4
    assert await live(engine, asked=False) == {ROOT_ACTION, "q"}


async def test_an_abort_whose_process_died_is_finished_by_the_reconciler(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await below_a_parent(engine)

    async def die(*_: object) -> bool:
        raise ConnectionAbortedError

    with monkeypatch.context() as patched:
        patched.setattr(actions, "go_on_aborting", die)
        with pytest.raises(ConnectionAbortedError):
            await engine.abort(PARENT)
    assert {"p"} < await live(engine, asked=True)
    while await reconcile(engine):
        pass

    assert await live(engine, asked=False) == {ROOT_ACTION, "q"}
