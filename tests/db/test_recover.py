"""Runs that recover from another one take over what succeeded there."""

from __future__ import annotations

import pytest

from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.rules.phases import Phase
from signalbox.store import run_views
from support.engine import RUN, USER_ERROR, Engine, new_action, report

SECOND = RUN._replace(run="r2")
THIRD = RUN._replace(run="r3")


async def succeed(engine: Engine, *names: str) -> None:
    """Enqueue these in the first run; they succeed, except those whose name begins with f."""
    await engine.enqueue(*(new_action(name) for name in names))
    granted = await engine.lease()
    for name in names:
        phase = Phase.FAILED if name.startswith("f") else Phase.SUCCEEDED
        error = USER_ERROR if name.startswith("f") else None
        await engine.report(report(granted[name], phase, error=error))


async def phase_and_source(engine: Engine, run: RunKey, name: str) -> tuple[Phase, str]:
    async with engine.db.autocommit() as tx:
        (row,) = await run_views.named(tx, run, [name])
    return row.phase, row.recovered_from


async def test_what_succeeded_in_the_source_is_answered_at_once_with_its_outputs(engine: Engine) -> None:
    await succeed(engine, "c1")
    await engine.begin(SECOND, recover_from=RUN)

    await engine.enqueue(new_action("c1", run=SECOND), new_action("new", run=SECOND))

    assert await phase_and_source(engine, SECOND, "c1") == (Phase.RECOVERED, "flytesnacks/development/r1")
    assert set(await engine.lease()) == {ROOT_ACTION, "new"}
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT DISTINCT output_uri FROM action WHERE name = 'c1'")
        assert await cursor.fetchall() == [("file:///store/r1/x/1",)]


async def test_what_failed_or_is_forced_runs_again(engine: Engine) -> None:
    await succeed(engine, "c1", "f1")
    await engine.begin(SECOND, recover_from=RUN, force_rerun=["c1"])

    await engine.enqueue(new_action("c1", run=SECOND), new_action("f1", run=SECOND))

    assert set(await engine.lease()) == {ROOT_ACTION, "c1", "f1"}


@pytest.mark.parametrize("forced", [[], ["c1"], [ROOT_ACTION]])
async def test_the_root_is_executed_again_also_when_it_succeeded_in_the_source(
    engine: Engine, forced: list[str]
) -> None:
    await engine.enqueue(new_action("c1"), new_action("c2"))
    granted = await engine.lease()
    await engine.report(*(report(granted[name], Phase.SUCCEEDED) for name in ("c1", "c2", ROOT_ACTION)))

    await engine.begin(SECOND, recover_from=RUN, force_rerun=forced)

    assert await phase_and_source(engine, SECOND, ROOT_ACTION) == (Phase.QUEUED, "")
    assert set(await engine.lease()) == {ROOT_ACTION}
    await engine.enqueue(new_action("c1", run=SECOND), new_action("c2", run=SECOND))
    assert set(await engine.lease()) == set(forced) - {ROOT_ACTION}
    assert (await phase_and_source(engine, SECOND, "c2"))[0] is Phase.RECOVERED


async def test_recovery_goes_through_to_the_run_that_has_the_action(engine: Engine) -> None:
    await succeed(engine, "c1", "c2")
    await engine.begin(SECOND, recover_from=RUN)
    await engine.enqueue(new_action("c1", run=SECOND))
    await engine.begin(THIRD, recover_from=SECOND)

    await engine.enqueue(new_action("c1", run=THIRD), new_action("c2", run=THIRD))

    assert await phase_and_source(engine, THIRD, "c1") == (Phase.RECOVERED, "flytesnacks/development/r1")
    assert await phase_and_source(engine, THIRD, "c2") == (Phase.RECOVERED, "flytesnacks/development/r1")


async def test_the_nearest_run_that_has_the_action_decides(engine: Engine) -> None:
    await succeed(engine, "c1")
    await engine.begin(SECOND, recover_from=RUN, force_rerun=["c1", "c2"])
    await engine.enqueue(new_action("c1", run=SECOND))
    granted = await engine.lease()
    await engine.report(report(granted["c1"], Phase.FAILED, error=USER_ERROR))
    await engine.begin(THIRD, recover_from=SECOND)

    await engine.enqueue(new_action("c1", run=THIRD))

    assert (await phase_and_source(engine, THIRD, "c1"))[0] is Phase.QUEUED


async def test_a_recovered_action_has_no_work_and_is_over_for_good(engine: Engine) -> None:
    await succeed(engine, "c1")
    await engine.begin(SECOND, recover_from=RUN)
    await engine.enqueue(new_action("c1", run=SECOND))

    await engine.abort(ActionKey(*SECOND, ROOT_ACTION))

    assert (await phase_and_source(engine, SECOND, "c1"))[0] is Phase.RECOVERED
