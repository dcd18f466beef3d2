"""What CreateRun is asked for and what comes of it: caching, recovery, relations, queues. And aborts of one action."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common import phase_pb2
from flyteidl2.common import run_pb2 as relations
from flyteidl2.task import run_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.access.principals import OPERATOR
from signalbox.control import leases, queues
from signalbox.ids import ActionKey, ProjectKey, RunKey
from signalbox.rules.phases import Phase
from signalbox.store import clusters
from signalbox.store.db import Database
from signalbox.store.queues import Queue, QueueState
from support.builders import a_project, an_op
from support.engine import CLUSTER, FACTS, RUN, TTL, Engine, report
from support.requests import ENQUEUE, RUNS, created, details, enqueued, identify
from support.service import Service, service


@pytest_asyncio.fixture
async def engine(db: Database) -> Engine:
    """A cluster with a lease stream, and a project."""
    await a_project(db, ProjectKey(RUN.org, RUN.project))
    async with db.transaction() as tx:
        await clusters.enrol(tx, CLUSTER, FACTS)
    made = Engine(db)
    await made.open_stream()
    return made


@pytest_asyncio.fixture
async def running(database_url: str, engine: Engine) -> AsyncGenerator[Service]:
    del engine
    async with service(database_url) as made:
        yield made


async def begin(running: Service, name: str, **run_spec: Any) -> Any:
    request = created(name)
    request.run_spec.CopyFrom(run_pb2.RunSpec(**run_spec))
    return (await running.call(f"{RUNS}/CreateRun", request)).run.action


async def shown(running: Service, name: str, run: str) -> Any:
    return (await running.call(f"{RUNS}/GetActionDetails", details(name, run))).details


async def cached(running: Service, run: str, name: str = "c1") -> str:
    """Phase and cache status of a cached child that the run enqueues."""
    request = enqueued(name, run=run)
    request.action.task.cache_key.value = "k"
    await running.call(ENQUEUE, request)
    status = (await shown(running, name, run)).status
    return phase_pb2.ActionPhase.Name(status.phase).removeprefix("ACTION_PHASE_")


async def succeed(engine: Engine, run: str, *names: str) -> None:
    grants = await leases.grant(engine.agent(), leases.Stream(number=engine.stream), ttl=TTL)
    assert grants is not None
    granted = {(g.run, g.action): g for g in grants.granted}
    for name in names:
        uri = f"file:///store/{run}/{name}/1"
        await engine.report(report(granted[run, name], Phase.SUCCEEDED, output_uri=uri))


def related_to(run: str, relation_type: Any) -> relations.Relation:
    relation = relations.Relation(relation_type=relation_type)
    source = relation.related_to
    source.org, source.project, source.domain, source.name = RUN.org, RUN.project, RUN.domain, run
    return relation


async def refusal(running: Service, request: Any) -> ConnectError:
    with pytest.raises(ConnectError) as refused:
        await running.call(f"{RUNS}/CreateRun", request)
    return refused.value


async def test_a_run_looks_its_results_up_in_its_scope_or_in_the_org_and_not_when_it_overwrites(
    running: Service, engine: Engine
) -> None:
    await begin(running, "first")
    assert await cached(running, "first") == "QUEUED"
    await succeed(engine, "first", "c1")
    global_scope = run_pb2.CacheConfig(cache_lookup_scope=run_pb2.CACHE_LOOKUP_SCOPE_GLOBAL)
    overwriting = run_pb2.CacheConfig(overwrite_cache=True)

    await begin(running, "same")
    await begin(running, "org", cache_config=global_scope)
    await begin(running, "over", cache_config=overwriting)
    await begin(running, "old", overwrite_cache=True)

    assert await cached(running, "same") == "SUCCEEDED"
    assert await cached(running, "org") == "QUEUED", "what was kept for the project is not the org's"
    assert await cached(running, "over") == "QUEUED"
    assert await cached(running, "old") == "QUEUED"
    await succeed(engine, "org", "c1")
    await begin(running, "again", cache_config=global_scope)
    assert await cached(running, "again") == "SUCCEEDED"


async def test_a_run_that_recovers_takes_over_what_succeeded_but_for_what_it_forces(
    running: Service, engine: Engine
) -> None:
    await begin(running, "source")
    for name in ("c1", "c2"):
        await running.call(ENQUEUE, enqueued(name, run="source"))
    await succeed(engine, "source", "c1", "c2")
    relation = related_to("source", relations.RELATION_TYPE_RECOVER)

    begun = await begin(running, "mine", relation=relation, recover=run_pb2.Recover(force_rerun_actions=["c2"]))
    for name in ("c1", "c2", "c3"):
        await running.call(ENQUEUE, enqueued(name, run="mine"))

    assert begun.metadata.relation == relation
    recovered = await shown(running, "c1", "mine")
    assert recovered.status.phase == phase_pb2.ACTION_PHASE_RECOVERED
    assert recovered.metadata.recovered_from.run.name == "source"
    assert recovered.attempts[0].outputs.output_uri == "file:///store/source/c1/1/outputs.pb"
    assert set(await engine.lease()) == {"a0", "c2", "c3"}, "the root is always run"


async def test_a_rerun_records_its_relation_and_takes_nothing_over(running: Service, engine: Engine) -> None:
    await begin(running, "source")
    await running.call(ENQUEUE, enqueued("c1", run="source"))
    await succeed(engine, "source", "c1")
    relation = related_to("source", relations.RELATION_TYPE_RERUN)

    await begin(running, "mine", relation=relation)
    await running.call(ENQUEUE, enqueued("c1", run="mine"))

    assert (await shown(running, "a0", "mine")).metadata.relation == relation
    assert (await shown(running, "c1", "mine")).status.phase == phase_pb2.ACTION_PHASE_QUEUED
    listed = run_service_pb2.ListRunsRequest()
    listed.project_id.name, listed.project_id.domain = RUN.project, RUN.domain
    runs = (await running.call(f"{RUNS}/ListRuns", listed)).runs
    assert [run.action.metadata.relation for run in runs if run.action.id.run.name == "mine"] == [relation]


@pytest.mark.parametrize(
    ("field", "value", "code", "said"),
    [
        ("name", "nope", Code.NOT_FOUND, "nope, to recover from: not found"),
        ("org", "other", Code.INVALID_ARGUMENT, "recovers within org local, got 'other'"),
        ("name", "a/b", Code.INVALID_ARGUMENT, "related_to.name"),
    ],
)
async def test_a_run_cannot_recover_from_what_is_not_there(
    running: Service, field: str, value: str, code: Code, said: str
) -> None:
    request = created("mine")
    request.run_spec.relation.CopyFrom(related_to("source", relations.RELATION_TYPE_RECOVER))
    setattr(request.run_spec.relation.related_to, field, value)

    refused = await refusal(running, request)

    assert refused.code is code
    assert said in refused.message


async def test_a_run_goes_to_the_queue_that_it_names_and_its_children_with_it(running: Service, engine: Engine) -> None:
    await queues.configure(an_op(engine.db, OPERATOR), Queue(org=RUN.org, name="gpu", max_actions=1))
    await begin(running, "mine", queue="gpu")
    await running.call(ENQUEUE, enqueued("c1", run="mine"))
    elsewhere = enqueued("c2", run="mine")
    elsewhere.action.task.queue = "default"
    await running.call(ENQUEUE, elsewhere)

    async with engine.db.autocommit() as tx:
        found = await (await tx.execute("SELECT action, queue FROM work ORDER BY action")).fetchall()

    assert found == [("a0", "gpu"), ("c1", "gpu"), ("c2", "default")]


async def test_queues_that_are_unknown_drained_or_full_refuse_runs_each_in_its_own_way(
    running: Service, engine: Engine
) -> None:
    op = an_op(engine.db, OPERATOR)
    await queues.configure(op, Queue(org=RUN.org, name="drained", state=QueueState.DRAINING))
    await queues.configure(op, Queue(org=RUN.org, name="small", max_depth=1))
    await begin(running, "waits", queue="small")

    refused: dict[str, ConnectError] = {}
    for queue in ("unknown", "drained", "small"):
        request = created(f"in-{queue}")
        request.run_spec.queue = queue
        refused[queue] = await refusal(running, request)

    assert [(error.code, error.message) for error in refused.values()] == [
        (Code.INVALID_ARGUMENT, "queue: no queue 'unknown' in org local"),
        (Code.FAILED_PRECONDITION, "queue drained: is being drained, no run begins in it"),
        (Code.RESOURCE_EXHAUSTED, "queue small: full, 1 actions wait"),
    ]
    with pytest.raises(ConnectError) as missing:
        await shown(running, "a0", "in-small")
    assert missing.value.code is Code.NOT_FOUND, "nothing of it was begun"
    await engine.lease()
    assert (await begin(running, "in-small", queue="small")).id.run.name == "in-small"


async def test_an_abort_of_one_action_reaches_what_is_below_it_and_nothing_beside_it(
    running: Service, engine: Engine
) -> None:
    await begin(running, "mine")
    for name, parent in (("c1", "a0"), ("d1", "c1"), ("c2", "a0")):
        await running.call(ENQUEUE, enqueued(name, parent=parent, run="mine"))
    request = run_service_pb2.AbortActionRequest(reason="not needed")
    identify(request.action_id, "c1", "mine")

    for _ in range(2):  # again is a no-op
        await running.call(f"{RUNS}/AbortAction", request)

    assert set(await engine.lease()) == {"a0", "c2"}
    aborted = await shown(running, "c1", "mine")
    assert aborted.status.phase == phase_pb2.ACTION_PHASE_ABORTED
    assert aborted.abort_info.reason == "not needed"
    assert aborted.abort_info.aborted_by.user.id.subject == "developer"
    assert (await shown(running, "d1", "mine")).status.phase == phase_pb2.ACTION_PHASE_ABORTED
    key = ActionKey(*RunKey(*RUN[:3], "mine"), "c1")
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT principal, resource FROM audit WHERE operation = 'action.abort'")
        assert await cursor.fetchall() == [("user:developer", str(key))] * 2
    identify(request.action_id, "nobody", "mine")
    with pytest.raises(ConnectError) as missing:
        await running.call(f"{RUNS}/AbortAction", request)
    assert missing.value.code is Code.NOT_FOUND


async def test_an_abort_of_what_a_cluster_holds_stands_until_the_cluster_has_confirmed_it(
    running: Service, engine: Engine
) -> None:
    await begin(running, "mine")
    await running.call(ENQUEUE, enqueued("c1", run="mine"))
    granted = (await engine.lease())["c1"]
    request = run_service_pb2.AbortActionRequest(reason="enough")
    identify(request.action_id, "c1", "mine")

    await running.call(f"{RUNS}/AbortAction", request)

    assert (await shown(running, "c1", "mine")).status.phase == phase_pb2.ACTION_PHASE_QUEUED
    await engine.report(report(granted, Phase.ABORTED))
    assert (await shown(running, "c1", "mine")).status.phase == phase_pb2.ACTION_PHASE_ABORTED
