"""One action in full: attempts, history, results, and the watch over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from flyteidl2.common import phase_pb2
from flyteidl2.common import run_pb2 as run_pb2_common
from flyteidl2.core import execution_pb2
from flyteidl2.task import run_pb2
from flyteidl2.workflow import run_definition_pb2 as pb

from signalbox.api import details as wire_details
from signalbox.control import actions, run_views
from signalbox.control.hub import Hub, StreamOver, run_topic
from signalbox.control.run_views import Details
from signalbox.errors import Forbidden, NotFound
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.op import Kind, Principal
from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from support.builders import ORG, SCOPE, START, a_run, a_trace, actions_of, an_op, enter

LONG = timedelta(seconds=30)
NOBODY = Principal(kind=Kind.USER, subject="nobody", name="Nobody", roles=frozenset())


@pytest.fixture
def hub(database_url: str) -> Hub:
    return Hub(database_url, stream_max_age=timedelta(minutes=10))


async def _message(db: Database, key: ActionKey) -> pb.ActionDetails:
    return wire_details.action_details(await run_views.details(an_op(db), key))


async def test_attempts_are_the_past_ones_and_the_current_one_each_with_its_history(db: Database) -> None:
    error = pb.ErrorInfo(message="no luck", code="ValueError", kind=pb.ErrorInfo.KIND_USER)
    log = pb.ActionEvent(log_info=[execution_pb2.TaskLog(name="stdout", uri="file:///log")])
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
        (key,) = await actions_of(tx, run, ["c1"], group="batch")
        await enter(tx, key, Phase.RUNNING, at=START + timedelta(seconds=1), cluster="one", log=log)
        await enter(tx, key, Phase.FAILED, at=START + timedelta(seconds=2), cluster="one", error=error, retry=True)
        await enter(tx, key, Phase.RUNNING, at=START + timedelta(seconds=3), cluster="two")
        await enter(tx, key, Phase.SUCCEEDED, at=START + timedelta(seconds=4), cluster="two")

    message = await _message(db, key)

    assert [(a.attempt, a.phase, a.cluster) for a in message.attempts] == [
        (1, phase_pb2.ACTION_PHASE_FAILED, "one"),
        (2, phase_pb2.ACTION_PHASE_SUCCEEDED, "two"),
    ]
    assert message.status.attempts == 2
    assert message.status.phase == message.attempts[-1].phase
    first, second = message.attempts
    assert first.error_info == error
    assert first.logs_available
    assert first.log_info == log.log_info
    assert not second.HasField("error_info")
    assert not second.logs_available
    assert second.outputs.output_uri == f"file:///store/{run}/c1/2/outputs.pb"
    assert [(t.phase, t.start_time.seconds - int(START.timestamp())) for t in first.phase_transitions] == [
        (phase_pb2.ACTION_PHASE_QUEUED, 0),
        (phase_pb2.ACTION_PHASE_RUNNING, 1),
        (phase_pb2.ACTION_PHASE_FAILED, 2),
    ]
    assert [t.end_time.seconds - int(START.timestamp()) for t in first.phase_transitions] == [1, 2, 2]
    assert [t.phase for t in second.phase_transitions] == [1, 4, 5]
    assert message.WhichOneof("result") is None
    assert message.status.duration_ms == 4000
    assert (message.metadata.parent, message.metadata.group) == (ROOT_ACTION, "batch")
    assert message.metadata.task.id.name == "main.leaf"
    assert message.metadata.task.task_type == "python"
    assert (message.metadata.funtion_name, message.metadata.environment_name) == ("leaf", "main")
    assert message.metadata.executed_by.user.id.subject == "developer"
    assert message.task.task_template.id.name == "main.leaf"


async def test_a_failed_action_shows_its_last_error(db: Database) -> None:
    error = pb.ErrorInfo(message="boom", code="RuntimeError", kind=pb.ErrorInfo.KIND_USER)
    async with db.transaction() as tx:
        run = await a_run(tx)
        root = ActionKey(*run, ROOT_ACTION)
        await enter(tx, root, Phase.FAILED, error=error)

    message = await _message(db, root)

    assert message.error_info == error
    assert message.attempts[-1].error_info == error


async def test_an_aborted_action_says_why_and_by_whom(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)
    root = ActionKey(*run, ROOT_ACTION)
    await actions.abort(an_op(db), hub, root, reason="changed my mind")

    message = await _message(db, root)

    assert message.status.phase == phase_pb2.ACTION_PHASE_ABORTED
    assert message.abort_info.reason == "changed my mind"
    assert message.abort_info.aborted_by.user.id.subject == "developer"


async def test_a_trace_shows_its_own_times_and_its_outputs_as_they_are(db: Database) -> None:
    async with db.transaction() as tx:
        key = await a_trace(tx, await a_run(tx))

    message = await _message(db, key)

    assert message.metadata.action_type == pb.ACTION_TYPE_TRACE
    assert message.metadata.trace.name == "lookup"
    assert message.HasField("trace")
    assert message.status.start_time.seconds == START.timestamp()
    assert message.status.duration_ms == 1000
    assert message.attempts[0].outputs.output_uri == "file:///store/trace/outputs.pb"
    uris = await run_views.uris(an_op(db), key)
    assert wire_details.outputs_uri(uris) == "file:///store/trace/outputs.pb"


async def test_a_runs_details_give_its_run_spec_back_whole(db: Database) -> None:
    spec = run_pb2.RunSpec(queue="gpu", max_action_concurrency=7)
    spec.relation.related_to.name = "r0"
    spec.relation.relation_type = run_pb2_common.RELATION_TYPE_RERUN
    spec.envs.values.add(key="A", value="b")
    async with db.transaction() as tx:
        run = await a_run(tx, run_spec=spec, source=pb.RUN_SOURCE_WEB)
        (child,) = await actions_of(tx, run, ["c1"])

    found = await run_views.details(an_op(db), ActionKey(*run, ROOT_ACTION))
    message = wire_details.run_details(found)

    assert message.run_spec == spec
    assert message.action.metadata.relation == spec.relation
    assert message.action.metadata.source == pb.RUN_SOURCE_WEB
    assert not (await _message(db, child)).metadata.HasField("relation")


async def test_outputs_have_a_uri_once_they_are_there(db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx, phase=Phase.RUNNING)
    root = ActionKey(*run, ROOT_ACTION)

    before = await run_views.uris(an_op(db), root)
    async with db.transaction() as tx:
        await enter(tx, root, Phase.SUCCEEDED, output_uri="s3://b/o/1/")
    after = await run_views.uris(an_op(db), root)

    assert wire_details.outputs_uri(before) == ""
    assert before.input_uri == "file:///store/r1/a0/inputs.pb"
    assert wire_details.outputs_uri(after) == "s3://b/o/1/outputs.pb"


async def test_times_of_different_clocks_never_go_back(db: Database) -> None:
    async with db.transaction() as tx:
        root = ActionKey(*await a_run(tx), ROOT_ACTION)
        await enter(tx, root, Phase.RUNNING, at=START - timedelta(hours=1))
        await enter(tx, root, Phase.SUCCEEDED, at=START - timedelta(minutes=1))

    message = await _message(db, root)

    for transition in message.attempts[0].phase_transitions:
        assert transition.end_time.ToDatetime() >= transition.start_time.ToDatetime()
    assert message.status.duration_ms == 0


async def test_what_is_missing_is_named(db: Database) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)

    with pytest.raises(NotFound, match="action local/flytesnacks/development/r1/nope: not found"):
        await run_views.details(an_op(db), ActionKey(*run, "nope"))
    with pytest.raises(NotFound, match="run local/flytesnacks/development/r9: not found"):
        await run_views.details(an_op(db), ActionKey(*SCOPE, "r9", ROOT_ACTION))
    with pytest.raises(NotFound, match="nope"):
        await run_views.uris(an_op(db), ActionKey(*run, "nope"))


async def test_details_need_the_permission(db: Database, hub: Hub) -> None:
    key = ActionKey(*SCOPE, "r1", ROOT_ACTION)
    for ask in (run_views.details, run_views.action, run_views.uris):
        with pytest.raises(Forbidden, match=r"run\.read"):
            await ask(an_op(db, NOBODY), key)
    for watch in (
        run_views.watch_details(an_op(db, NOBODY), hub, key, progress_every=LONG),
        run_views.watch_actions(an_op(db, NOBODY), hub, key.run_key, progress_every=LONG),
        run_views.watch_runs(an_op(db, NOBODY), hub, ORG, None, run_views.Conditions(), progress_every=LONG),
    ):
        with pytest.raises(Forbidden, match=r"run\.read"):
            await anext(watch)


async def test_phase_and_attempts_of_one_answer_agree_under_change(db: Database) -> None:
    """Readers race a writer that retries; each answer must be of one moment."""
    async with db.transaction() as tx:
        root = ActionKey(*await a_run(tx), ROOT_ACTION)

    async def write() -> None:
        for _ in range(40):
            async with db.transaction() as tx:
                await enter(tx, root, Phase.RUNNING)
            async with db.transaction() as tx:
                await enter(tx, root, Phase.FAILED, retry=True)

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        while not writing.done():
            message = await _message(db, root)
            assert message.status.attempts == len(message.attempts) == message.attempts[-1].attempt
            assert message.status.phase == message.attempts[-1].phase
            assert message.attempts[-1].phase_transitions[-1].phase == message.status.phase


async def test_a_watch_tells_the_present_then_each_change_and_ends_behind_the_last(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)
    root = ActionKey(*run, ROOT_ACTION)
    watch = run_views.watch_details(an_op(db), hub, root, progress_every=LONG)

    assert (await anext(watch)).action.row.phase is Phase.QUEUED

    for phase in (Phase.RUNNING, Phase.SUCCEEDED):
        async with db.transaction() as tx:
            await enter(tx, root, phase)
        hub.publish([run_topic(run)])
        told = await asyncio.wait_for(anext(watch), 5)
        assert told.action.row.phase is phase
        assert told.attempts[-1].phase is phase

    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_watch_of_a_finished_action_tells_it_once(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        root = ActionKey(*await a_run(tx, phase=Phase.ABORTED), ROOT_ACTION)

    told = [d async for d in run_views.watch_details(an_op(db), hub, root, progress_every=LONG)]

    assert [d.action.row.phase for d in told] == [Phase.ABORTED]


async def test_a_watch_does_not_speak_of_other_actions_but_says_at_times_that_it_lives(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        run = await a_run(tx)
    root = ActionKey(*run, ROOT_ACTION)
    watch = run_views.watch_details(an_op(db), hub, root, progress_every=timedelta(seconds=0.6))
    await anext(watch)

    following = asyncio.ensure_future(anext(watch))
    async with db.transaction() as tx:
        await actions_of(tx, run, ["c1"])
    hub.publish([run_topic(run)])
    await asyncio.sleep(0.3)
    assert not following.done()

    assert (await asyncio.wait_for(following, 5)).action.row.phase is Phase.QUEUED


async def test_a_watch_misses_nothing_that_happens_between_its_looks(db: Database, hub: Hub) -> None:
    """A change without any hint is told with the next sign of life."""
    async with db.transaction() as tx:
        root = ActionKey(*await a_run(tx), ROOT_ACTION)
    watch = run_views.watch_details(an_op(db), hub, root, progress_every=timedelta(seconds=0.3))
    await anext(watch)
    async with db.transaction() as tx:
        await enter(tx, root, Phase.SUCCEEDED)

    assert (await asyncio.wait_for(anext(watch), 5)).action.row.phase is Phase.SUCCEEDED


async def test_a_draining_hub_ends_the_watch(db: Database, hub: Hub) -> None:
    async with db.transaction() as tx:
        root = ActionKey(*await a_run(tx), ROOT_ACTION)
    watch: AsyncIterator[Details] = run_views.watch_details(an_op(db), hub, root, progress_every=LONG)
    await anext(watch)

    hub.drain()

    with pytest.raises(StreamOver):
        await asyncio.wait_for(anext(watch), 5)


async def test_a_watch_of_what_does_not_exist_is_refused(db: Database, hub: Hub) -> None:
    with pytest.raises(NotFound, match="run local/flytesnacks/development/r9"):
        await anext(run_views.watch_details(an_op(db), hub, ActionKey(*SCOPE, "r9", "a0"), progress_every=LONG))
    with pytest.raises(NotFound, match="run local/flytesnacks/development/r9"):
        await anext(run_views.watch_actions(an_op(db), hub, RunKey(*SCOPE, "r9"), progress_every=LONG))
