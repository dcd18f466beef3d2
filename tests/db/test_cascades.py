"""Parents and children that end in one transaction: what just happened to a child counts when its parent is over."""

from __future__ import annotations

from datetime import timedelta

from signalbox.control import conditions, leases
from signalbox.ids import ActionKey
from signalbox.rules.phases import Phase, Verdict
from signalbox.rules.timers import Owner
from signalbox.store.actions import Kind
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction
from support.engine import RUN, USER_ERROR, Engine, new_action, report

MINUTE = timedelta(minutes=1)


def condition(name: str, parent: str = "a0") -> NewAction:
    made = new_action(name, parent)
    return made._replace(kind=Kind.CONDITION, phase=Phase.PAUSED, owner=Owner.PERSON, spec_digest=None)


async def running(engine: Engine, *children: NewAction) -> dict[str, Granted]:
    """The root and the children, all of them running."""
    await engine.enqueue(*children)
    granted = await engine.lease()
    await engine.report(*(report(g, Phase.RUNNING) for g in granted.values()))
    return granted


async def phases(engine: Engine, name: str) -> list[str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            "SELECT phase FROM event WHERE action = %(name)s AND kind = 'phase' ORDER BY revision", {"name": name}
        )
        return [row[0] for row in await cursor.fetchall()]


async def test_a_child_that_ends_in_its_parents_batch_is_told_nothing(engine: Engine) -> None:
    granted = await running(engine, new_action("c1"))

    await engine.report(report(granted["c1"], Phase.FAILED, error=USER_ERROR), report(granted["a0"], Phase.SUCCEEDED))

    assert await engine.phase("c1") is Phase.FAILED
    assert await leases.aborts(engine.agent(), after=0) == []
    assert (await engine.state("c1")).abort_requested_at is None


async def test_a_child_that_is_to_be_tried_again_when_its_parent_ends_is_not(engine: Engine) -> None:
    granted = await running(engine, new_action("c1", retries=3))

    await engine.report(
        report(granted["c1"], Phase.FAILED, error=USER_ERROR, recoverable=True), report(granted["a0"], Phase.SUCCEEDED)
    )

    assert await phases(engine, "c1") == ["queued", "running", "failed", "queued", "aborted"]
    assert await leases.aborts(engine.agent(), after=0) == []
    assert await engine.lease() == {}


async def test_a_child_whose_parent_is_over_before_it_in_the_batch_is_not_tried_again_either(engine: Engine) -> None:
    granted = await running(engine, new_action("c1", retries=3))

    await engine.report(
        report(granted["a0"], Phase.SUCCEEDED), report(granted["c1"], Phase.FAILED, error=USER_ERROR, recoverable=True)
    )

    assert await engine.phase("c1") is Phase.ABORTED
    assert await engine.lease() == {}


async def test_a_child_that_is_lost_with_its_parent_is_not_granted_again(engine: Engine) -> None:
    for session in ("s2", "s3"):  # the root's budget
        await engine.report(report((await engine.lease())["a0"], Phase.RUNNING))
        await engine.open_stream(session=session)
    await running(engine, new_action("c1"), new_action("c2"))
    await engine.enqueue(new_action("d1", "c1"))
    await engine.lease()  # d1 was granted, and never began

    await engine.open_stream(session="s4")

    assert [await engine.phase(name) for name in ("a0", "c1", "c2", "d1")] == [Phase.FAILED, *[Phase.ABORTED] * 3]
    assert await leases.aborts(engine.agent(), after=0) == []
    assert await engine.lease() == {}


async def test_a_child_that_times_out_with_its_parent_has_timed_out_once(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(condition("p")._replace(deadline_after=MINUTE))
    await engine.enqueue(condition("q1", "p")._replace(deadline_after=MINUTE), condition("q2", "p"))

    await engine.age(MINUTE)
    await engine.look()

    assert await phases(engine, "q1") == ["paused", "timed_out"]
    assert await phases(engine, "q2") == ["paused", "aborted"]


async def test_a_child_that_is_queued_anew_when_its_parent_times_out_is_over(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(condition("p")._replace(deadline_after=MINUTE))
    await engine.enqueue(new_action("c1", "p", retries=3)._replace(queued_timeout=MINUTE))

    await engine.age(MINUTE)
    await engine.look()

    assert await phases(engine, "c1") == ["queued", "timed_out", "queued", "aborted"]


async def test_a_retry_of_the_same_pass_is_looked_at_when_its_own_wait_ends(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(condition("p")._replace(deadline_after=MINUTE))
    await engine.enqueue(
        new_action("c1", retries=3)._replace(queued_timeout=MINUTE, backoff_base=MINUTE, backoff_factor=1.0)
    )
    await engine.enqueue(condition("q1", "p"))

    await engine.age(MINUTE)
    await engine.look()
    await engine.age(MINUTE)
    await engine.look()

    assert (await engine.lease())["c1"].attempt == 2


async def test_a_tree_that_ends_in_one_batch_ends_as_its_reports_say(engine: Engine) -> None:
    await running(engine)
    granted: dict[str, Granted] = {}
    for name, parent in (("p", "a0"), ("c1", "p"), ("c2", "p"), ("d1", "c1")):
        await engine.enqueue(new_action(name, parent))
        granted |= await engine.lease()
    await engine.report(*(report(g, Phase.RUNNING) for g in granted.values()))

    verdicts = await engine.report(
        report(granted["p"], Phase.FAILED, error=USER_ERROR),
        report(granted["d1"], Phase.SUCCEEDED),
        report(granted["c1"], Phase.SUCCEEDED),
    )

    assert verdicts == [Verdict.ACCEPTED] * 3
    assert [await engine.phase(name) for name in ("p", "d1", "c1")] == [Phase.FAILED, Phase.SUCCEEDED, Phase.SUCCEEDED]
    assert [told.action for told in await leases.aborts(engine.agent(), after=0)] == ["c2"]


async def test_what_lives_below_a_condition_that_is_answered_is_aborted(engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(condition("q1"))
    await engine.enqueue(new_action("c1", "q1"))

    await conditions.signal(engine.user, engine.hub, ActionKey(*RUN, "q1"), parent="", value=b"")

    assert await engine.phase("c1") is Phase.ABORTED


async def test_room_that_a_parents_end_makes_goes_to_none_of_its_children(engine: Engine) -> None:
    run = RUN._replace(run="r2")
    await engine.begin(run, max_actions=2)
    granted = await engine.lease()
    await engine.enqueue(*(new_action(name, run=run) for name in ("p", "c9")))
    granted |= await engine.lease()
    await engine.enqueue(*(new_action(name, "p", run=run) for name in ("c1", "c2")))
    granted |= await engine.lease()

    await engine.report(report(granted["c9"], Phase.SUCCEEDED), report(granted["p"], Phase.SUCCEEDED))

    assert (await engine.state("c1", run)).phase is Phase.ABORTED
    assert (await engine.state("c2", run)).phase is Phase.ABORTED
    assert await engine.lease() == {}
