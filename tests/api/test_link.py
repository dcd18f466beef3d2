"""The cluster link on the wire: enrolment, a lease stream, reports, takeover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.common import phase_pb2
from flyteidl2.workflow import run_service_pb2

from signalbox.store.db import Database
from signalbox_wire.cluster.v1 import cluster_pb2 as pb
from support.link import FACTS, LINK, Cluster, a_join_token, a_run, enrolled, until
from support.service import service


@pytest_asyncio.fixture
async def join_token(db: Database) -> str:
    return await a_join_token(db)


@pytest_asyncio.fixture
async def cluster(database_url: str, db: Database, join_token: str) -> AsyncGenerator[Cluster]:
    async with enrolled(database_url, db, join_token=join_token) as made:
        yield made


async def test_a_join_token_enrols_once(database_url: str, join_token: str) -> None:
    request = pb.EnrollRequest(join_token=join_token, facts=FACTS)
    async with service(database_url) as running:
        await Cluster(running).call("Enroll", request, pb.EnrollResponse)
        with pytest.raises(ConnectError) as refused:
            await Cluster(running).call("Enroll", request, pb.EnrollResponse)

    assert refused.value.code is Code.UNAUTHENTICATED


async def test_the_database_keeps_no_token(database_url: str, db: Database, join_token: str, cluster: Cluster) -> None:
    renewed = await cluster.call("Renew", pb.RenewRequest(), pb.RenewResponse)
    async with db.autocommit() as tx:
        kept = str(await (await tx.execute("SELECT * FROM cluster_credential")).fetchall())
        kept += str(await (await tx.execute("SELECT * FROM join_token")).fetchall())
        kept += str(await (await tx.execute("SELECT * FROM audit")).fetchall())

    assert join_token not in kept
    assert renewed.credential.token not in kept


async def test_a_run_is_granted_with_its_spec_and_its_place_and_ends_by_report(
    database_url: str, cluster: Cluster
) -> None:
    stream = cluster.lease()
    progress = await until(stream, "progress")
    assert progress.fence_after.seconds < 30
    await a_run(database_url)

    grants = await until(stream, "grants")
    (grant,) = grants.grants
    assert grants.task_specs[0].digest == grant.task_spec_digest
    assert grants.task_specs[0].spec.short_name == "main"
    assert grants.runs[0].run_id.name == "mine"
    assert grant.input_uri == "file:///store/inputs.pb"
    assert grant.run_output_base == "file:///store/local/flytesnacks/development/mine"
    assert grant.output_uri == f"{grant.run_output_base}/a0/1"

    assert list((await cluster.report(grant, "RUNNING")).outcomes) == [pb.OUTCOME_ACCEPTED]
    assert list((await cluster.report(grant, "SUCCEEDED")).outcomes) == [pb.OUTCOME_ACCEPTED]
    assert list((await cluster.report(grant, "SUCCEEDED")).outcomes) == [pb.OUTCOME_DUPLICATE]
    assert list((await cluster.report(grant, "SUCCEEDED", epoch=9)).outcomes) == [pb.OUTCOME_STALE_EPOCH]


async def test_a_malformed_report_does_not_concern_its_neighbours(database_url: str, cluster: Cluster) -> None:
    stream = cluster.lease()
    await until(stream, "progress")
    await a_run(database_url)
    (grant,) = (await until(stream, "grants")).grants
    request = pb.ReportRequest(session_id="s1")
    request.reports.add(epoch=1).event.phase = phase_pb2.ACTION_PHASE_RUNNING
    good = request.reports.add(epoch=grant.ref.epoch)
    good.event.id.CopyFrom(grant.ref.action_id)
    good.event.attempt = 1
    good.event.phase = phase_pb2.ACTION_PHASE_RUNNING
    unkept, untimely = request.reports.add(), request.reports.add()
    for bad in (unkept, untimely):
        bad.CopyFrom(good)
        bad.event.phase = phase_pb2.ACTION_PHASE_SUCCEEDED
    unkept.event.outputs.output_uri = "file:///\0"
    untimely.event.end_time.seconds = 2**60

    answer = await cluster.call("Report", request, pb.ReportResponse)

    expected = [pb.OUTCOME_INVALID, pb.OUTCOME_ACCEPTED, pb.OUTCOME_INVALID, pb.OUTCOME_INVALID]
    assert list(answer.outcomes) == expected


async def test_an_abort_is_told_until_it_has_happened(database_url: str, cluster: Cluster) -> None:
    stream = cluster.lease()
    await until(stream, "progress")
    await a_run(database_url)
    (grant,) = (await until(stream, "grants")).grants
    await cluster.report(grant, "RUNNING")
    request = run_service_pb2.AbortRunRequest(reason="enough")
    request.run_id.CopyFrom(grant.ref.action_id.run)
    async with service(database_url) as user:
        await user.call("workflow.RunService/AbortRun", request)

    told = [(await until(stream, "aborts")).aborts[0] for _ in range(2)]

    assert {abort.ref.epoch for abort in told} == {grant.ref.epoch}
    assert told[0].reason == "enough"
    assert list((await cluster.report(grant, "ABORTED")).outcomes) == [pb.OUTCOME_ACCEPTED]


async def test_a_newer_session_ends_the_older_one(cluster: Cluster) -> None:
    old = cluster.lease("s1")
    await until(old, "progress")
    new = cluster.lease("s2")
    await until(new, "progress")

    async with asyncio.timeout(5):
        assert [message async for message in old if message.WhichOneof("message") != "progress"] == []
    answer = await cluster.call("Report", pb.ReportRequest(session_id="s1"), pb.ReportResponse)

    assert not answer.session_current


async def test_a_full_cluster_is_given_more_as_soon_as_something_has_ended(database_url: str, cluster: Cluster) -> None:
    request = pb.LeaseRequest(session_id="s1", facts=FACTS, capacity=1)
    async with service(database_url, token=cluster.token, progress_every=timedelta(minutes=5)) as unhurried:
        stream = unhurried.client.stream(f"{LINK}/Lease", request, pb.LeaseResponse)
        await until(stream, "progress")
        for name in ("one", "two"):
            await a_run(database_url, name)
        (first,) = (await until(stream, "grants")).grants

        await Cluster(unhurried).report(first, "SUCCEEDED")

        (second,) = (await until(stream, "grants")).grants
        unhurried.parts.hub.drain()
    assert {first.ref.action_id.run.name, second.ref.action_id.run.name} == {"one", "two"}
