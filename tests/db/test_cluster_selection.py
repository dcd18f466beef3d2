"""SelectCluster: an action's own cluster where it is healthy, any healthy one else, and words when there is none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flyteidl2.cluster import payload_pb2 as pb

from signalbox.api.clusters import Clusters
from signalbox.errors import Forbidden, Invalid, NotFound, Unavailable
from signalbox.ids import ROOT_ACTION
from signalbox.op import Kind, Principal
from signalbox.rules.phases import Phase
from signalbox.settings import Settings
from signalbox.store.db import Database
from support.builders import ORG, a_cluster, a_run, an_op

NOBODY = Principal(kind=Kind.USER, subject="nobody", name="Nobody", roles=frozenset())
SILENT = timedelta(minutes=5)


@pytest.fixture
def service(database_url: str) -> Clusters:
    return Clusters(Settings(database_url=database_url))  # pyright: ignore[reportArgumentType]  # pydantic makes it a secret


def _for_project() -> pb.SelectClusterRequest:
    request = pb.SelectClusterRequest(operation=pb.SelectClusterRequest.OPERATION_UPLOAD_INPUTS)
    request.project_id.organization, request.project_id.name, request.project_id.domain = ORG, "p", "d"
    return request


def _for_action(run: str, action: str = ROOT_ACTION) -> pb.SelectClusterRequest:
    request = pb.SelectClusterRequest(operation=pb.SelectClusterRequest.OPERATION_TAIL_LOGS)
    identity = request.action_id.run
    identity.org, identity.project, identity.domain, identity.name = ORG, "flytesnacks", "development", run
    request.action_id.name = action
    return request


async def test_a_project_goes_to_the_first_healthy_cluster(service: Clusters, db: Database) -> None:
    async with db.transaction() as tx:
        await a_cluster(tx, "alpha", silent_for=SILENT)
        await a_cluster(tx, "beta")
        await a_cluster(tx, "aaa", org="elsewhere")

    reply = await service.select_cluster(an_op(db), _for_project())

    assert (reply.cluster, reply.cluster_endpoint) == ("beta", "http://beta.example:9000")


async def test_an_action_goes_to_the_cluster_that_ran_it(service: Clusters, db: Database) -> None:
    async with db.transaction() as tx:
        await a_cluster(tx, "alpha")
        await a_cluster(tx, "one")
        await a_run(tx, "r1", phase=Phase.SUCCEEDED)  # on `one`
        await a_run(tx, "r2")

    assert (await service.select_cluster(an_op(db), _for_action("r1"))).cluster == "one"
    assert (await service.select_cluster(an_op(db), _for_action("r2"))).cluster == "alpha"
    attempt = pb.SelectClusterRequest(operation=pb.SelectClusterRequest.OPERATION_CREATE_DOWNLOAD_LINK)
    attempt.action_attempt_id.action_id.CopyFrom(_for_action("r1").action_id)
    attempt.action_attempt_id.attempt = 1
    assert (await service.select_cluster(an_op(db), attempt)).cluster == "one"


async def test_a_silent_clusters_actions_go_to_another_that_shares_its_store(service: Clusters, db: Database) -> None:
    async with db.transaction() as tx:
        await a_cluster(tx, "one", silent_for=SILENT)
        await a_cluster(tx, "two")
        await a_run(tx, "r1", phase=Phase.SUCCEEDED)

    assert (await service.select_cluster(an_op(db), _for_action("r1"))).cluster == "two"


async def test_without_a_healthy_cluster_the_refusal_names_those_that_are_silent(
    service: Clusters, db: Database
) -> None:
    with pytest.raises(Unavailable, match="no cluster is registered"):
        await service.select_cluster(an_op(db), _for_project())
    async with db.transaction() as tx:
        await a_cluster(tx, "one", silent_for=SILENT)
    with pytest.raises(Unavailable, match=r"one silent since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"):
        await service.select_cluster(an_op(db), _for_project())


async def test_what_does_not_exist_is_not_found(service: Clusters, db: Database) -> None:
    async with db.transaction() as tx:
        await a_cluster(tx)
        await a_run(tx, "r1")
    for request in (_for_action("r9"), _for_action("r1", "nope")):
        with pytest.raises(NotFound, match="action local/flytesnacks/development"):
            await service.select_cluster(an_op(db), request)
    named = pb.SelectClusterRequest()
    named.cluster_id.organization, named.cluster_id.name = ORG, "nine"
    with pytest.raises(NotFound, match="cluster local/nine"):
        await service.select_cluster(an_op(db), named)
    named.cluster_id.name = "one"
    assert (await service.select_cluster(an_op(db), named)).cluster == "one"


async def test_every_other_resource_finds_its_org(service: Clusters, db: Database) -> None:
    async with db.transaction() as tx:
        await a_cluster(tx)
    for resource in ("org_id", "task_id", "app_id", "cluster_pool_id", "domain_id", "queue_id"):
        request = pb.SelectClusterRequest()
        message = getattr(request, resource)
        field = {"org_id": "name", "task_id": "org", "app_id": "org"}.get(resource, "organization")
        setattr(message, field, ORG)
        assert (await service.select_cluster(an_op(db), request)).cluster == "one"


async def test_a_resource_is_needed_and_the_permission(service: Clusters, db: Database) -> None:
    with pytest.raises(Invalid, match="resource"):
        await service.select_cluster(an_op(db), pb.SelectClusterRequest())
    with pytest.raises(Forbidden, match=r"cluster\.select"):
        await service.select_cluster(an_op(db, NOBODY), _for_project())
