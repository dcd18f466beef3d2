from __future__ import annotations

import pytest

from signalbox.control import leases, runs
from signalbox.errors import NotFound
from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase, Verdict
from support.engine import ROOT, RUN, Engine, new_action, report


async def test_what_waits_is_aborted_at_once_and_what_runs_when_its_cluster_has_confirmed(engine: Engine) -> None:
    root = (await engine.lease())["a0"]
    await engine.report(report(root, Phase.RUNNING))
    await engine.enqueue(new_action("c1"))

    await runs.abort(engine.user, engine.hub, RUN, reason="enough")

    assert await engine.phase("c1") is Phase.ABORTED
    assert await engine.phase("a0") is Phase.RUNNING
    (told,) = await leases.aborts(engine.agent(), after=0)
    assert (told.action, told.attempt, told.epoch, told.reason) == ("a0", 1, root.epoch, "enough")
    assert await engine.report(report(root, Phase.ABORTED)) == [Verdict.ACCEPTED]
    assert await leases.aborts(engine.agent(), after=0) == []


async def test_aborting_again_and_aborting_what_is_over_changes_nothing(engine: Engine) -> None:
    """B4: in the open-source backend an abort of a finished run turns its success into an abort."""
    root = (await engine.lease())["a0"]
    await engine.report(report(root, Phase.SUCCEEDED))
    before = await revision(engine)

    await runs.abort(engine.user, engine.hub, RUN, reason="too late")
    await engine.abort()

    assert await engine.phase("a0") is Phase.SUCCEEDED
    assert await revision(engine) == before


async def test_an_abort_that_is_asked_for_twice_is_told_once(engine: Engine) -> None:
    await engine.lease()

    await engine.abort()
    await engine.abort()

    assert len(await leases.aborts(engine.agent(), after=0)) == 1


async def test_an_attempt_that_succeeds_before_it_hears_of_the_abort_has_succeeded(engine: Engine) -> None:
    root = (await engine.lease())["a0"]
    await engine.abort()

    assert await engine.report(report(root, Phase.SUCCEEDED)) == [Verdict.ACCEPTED]
    assert await engine.phase("a0") is Phase.SUCCEEDED
    assert await leases.aborts(engine.agent(), after=0) == []


async def test_an_attempt_that_fails_after_an_abort_is_not_tried_again(engine: Engine) -> None:
    await engine.enqueue(new_action("c1", retries=5))
    granted = await engine.lease()
    await engine.abort(ActionKey(*RUN, "c1"))

    await engine.report(report(granted["c1"], Phase.FAILED, recoverable=True))

    assert await engine.phase("c1") is Phase.FAILED
    assert await engine.lease() == {}


async def test_an_abort_of_an_action_takes_its_descendants_and_leaves_its_siblings(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(new_action("c1"), new_action("c2"))
    await engine.enqueue(new_action("d1", "c1"))
    await engine.enqueue(new_action("e1", "d1"))

    await engine.abort(ActionKey(*RUN, "c1"))

    phases = [await engine.phase(name) for name in ("c1", "d1", "e1", "c2")]
    assert phases == [Phase.ABORTED, Phase.ABORTED, Phase.ABORTED, Phase.QUEUED]


async def test_what_does_not_exist_cannot_be_aborted(engine: Engine) -> None:
    with pytest.raises(NotFound, match="r9"):
        await runs.abort(engine.user, engine.hub, RUN._replace(run="r9"), reason="")
    with pytest.raises(NotFound, match="c9"):
        await engine.abort(ROOT._replace(action="c9"))


async def revision(engine: Engine) -> int:
    async with engine.db.autocommit() as tx:
        row = await (await tx.execute("SELECT revision FROM run")).fetchone()
    assert row is not None
    return row[0]
