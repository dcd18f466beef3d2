"""CacheService, both versions, on the wire: results by key, and reservations that live by their heartbeat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.cacheservice import cacheservice_pb2 as pb
from flyteidl2.cacheservice.v2 import cacheservice_pb2 as pb2

from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from support.engine import RUN, Engine
from support.requests import ENQUEUE, enqueued
from support.service import Service, service

V1, V2 = "cacheservice.CacheService", "cacheservice.v2.CacheService"
PLACE = pb2.Identifier(org="local", project="flytesnacks", domain="development")


@pytest_asyncio.fixture
async def running(database_url: str) -> AsyncGenerator[Service]:
    async with service(database_url) as made:
        yield made


def put(uri: str = "s3://bucket/outputs.pb", *, overwrite: bool = False) -> pb.PutCacheRequest:
    request = pb.PutCacheRequest(key="k")
    request.output.output_uri = uri
    request.overwrite.overwrite = overwrite
    return request


def reserve(owner: str, *, seconds: int = 5) -> pb.GetOrExtendReservationRequest:
    request = pb.GetOrExtendReservationRequest(key="k", owner_id=owner)
    request.heartbeat_interval.seconds = seconds
    return request


async def code(running: Service, rpc: str, request: object) -> Code:
    with pytest.raises(ConnectError) as refused:
        await running.call(rpc, request)  # pyright: ignore[reportArgumentType]  # a message
    return refused.value.code


async def test_a_result_is_kept_found_replaced_on_request_only_and_deleted(running: Service) -> None:
    get = pb.GetCacheRequest(key="k")
    assert await code(running, f"{V1}/Get", get) is Code.NOT_FOUND
    await running.call(f"{V1}/Put", put())
    assert (await running.call(f"{V1}/Get", get)).output.output_uri == "s3://bucket/outputs.pb"

    assert await code(running, f"{V1}/Put", put("s3://bucket/other")) is Code.ALREADY_EXISTS
    await running.call(f"{V1}/Put", put("s3://bucket/other", overwrite=True))
    assert (await running.call(f"{V1}/Get", get)).output.output_uri == "s3://bucket/other"

    await running.call(f"{V1}/Delete", pb.DeleteCacheRequest(key="k"))
    assert await code(running, f"{V1}/Get", get) is Code.NOT_FOUND


async def test_literals_are_payload_and_are_refused(running: Service) -> None:
    request = pb.PutCacheRequest(key="k")
    request.output.output_literals.SetInParent()

    assert await code(running, f"{V1}/Put", request) is Code.INVALID_ARGUMENT


async def test_the_second_version_keeps_projects_apart(running: Service) -> None:
    await running.call(f"{V2}/Put", pb2.PutCacheRequest(base_request=put(), identifier=PLACE))
    elsewhere = pb2.Identifier(org="local", project="other", domain="development")
    get = pb.GetCacheRequest(key="k")

    found = await running.call(f"{V2}/Get", pb2.GetCacheRequest(base_request=get, identifier=PLACE))

    assert found.output.output_uri == "s3://bucket/outputs.pb"
    assert await code(running, f"{V2}/Get", pb2.GetCacheRequest(base_request=get, identifier=elsewhere)) is (
        Code.NOT_FOUND
    )
    assert await code(running, f"{V1}/Get", get) is Code.NOT_FOUND


async def test_a_reservation_is_its_owners_until_its_heartbeat_stops_or_it_is_released(
    running: Service, db: Database
) -> None:
    rpc = f"{V1}/GetOrExtendReservation"
    first = (await running.call(rpc, reserve("a"))).reservation
    other = (await running.call(rpc, reserve("b"))).reservation
    assert (first.owner_id, other.owner_id) == ("a", "a")
    assert first.heartbeat_interval.ToTimedelta() == timedelta(seconds=5)

    again = (await running.call(rpc, reserve("a"))).reservation
    assert again.expires_at.ToDatetime() > first.expires_at.ToDatetime()
    async with db.transaction() as tx:
        await tx.execute("UPDATE cache_reservation SET expires_at = clock_timestamp()")
    assert (await running.call(rpc, reserve("b"))).reservation.owner_id == "b"

    await running.call(f"{V1}/ReleaseReservation", pb.ReleaseReservationRequest(key="k", owner_id="a"))
    assert (await running.call(rpc, reserve("a"))).reservation.owner_id == "b", "it was not a's to release"
    await running.call(f"{V1}/ReleaseReservation", pb.ReleaseReservationRequest(key="k", owner_id="b"))
    assert (await running.call(rpc, reserve("a"))).reservation.owner_id == "a"


async def test_the_second_version_deletes_and_reserves_in_its_project_only(running: Service) -> None:
    elsewhere = pb2.Identifier(org="local", project="other", domain="development")
    for place in (PLACE, elsewhere):
        await running.call(f"{V2}/Put", pb2.PutCacheRequest(base_request=put(), identifier=place))
    delete = pb2.DeleteCacheRequest(base_request=pb.DeleteCacheRequest(key="k"), identifier=PLACE)
    await running.call(f"{V2}/Delete", delete)
    assert await code(running, f"{V2}/Delete", delete) is Code.NOT_FOUND
    get = pb.GetCacheRequest(key="k")
    assert await code(running, f"{V2}/Get", pb2.GetCacheRequest(base_request=get, identifier=PLACE)) is Code.NOT_FOUND
    await running.call(f"{V2}/Get", pb2.GetCacheRequest(base_request=get, identifier=elsewhere))

    async def reserved(owner: str, place: pb2.Identifier) -> str:
        request = pb2.GetOrExtendReservationRequest(base_request=reserve(owner), identifier=place)
        return (await running.call(f"{V2}/GetOrExtendReservation", request)).reservation.owner_id

    async def release(owner: str) -> None:
        base = pb.ReleaseReservationRequest(key="k", owner_id=owner)
        request = pb2.ReleaseReservationRequest(base_request=base, identifier=PLACE)
        await running.call(f"{V2}/ReleaseReservation", request)

    assert (await reserved("a", PLACE), await reserved("b", PLACE), await reserved("b", elsewhere)) == ("a", "a", "b")
    await release("b")
    assert await reserved("b", PLACE) == "a", "it was not b's to release"
    await release("a")
    assert await reserved("b", PLACE) == "b"


async def test_an_action_waits_for_a_clients_reservation_until_it_has_a_result_or_expires(
    running: Service, db: Database
) -> None:
    engine = Engine(db)
    await engine.begin()
    await engine.open_stream()
    await engine.lease()
    place = pb2.Identifier(org=RUN.org, project=RUN.project, domain=RUN.domain)
    for key in ("computed", "given up"):
        await running.call(f"{V2}/GetOrExtendReservation", request_of(key, place))
    for name, key in (("c1", "computed"), ("c2", "given up")):
        request = enqueued(name)
        request.action.task.spec.task_template.metadata.cache_serializable = True
        request.action.task.cache_key.value = key
        await running.call(ENQUEUE, request)
    assert await engine.lease() == {}
    await engine.age(timedelta(minutes=1))
    await engine.look()
    assert await engine.lease() == {}, "they are looked at, and go on waiting"

    kept = put()
    kept.key = "computed"
    await running.call(f"{V2}/Put", pb2.PutCacheRequest(base_request=kept, identifier=place))
    await engine.look()
    async with db.transaction() as tx:
        await tx.execute("UPDATE cache_reservation SET expires_at = clock_timestamp()")
    await engine.age(timedelta(minutes=1))
    await engine.look()

    assert await engine.phase("c1") is Phase.SUCCEEDED
    assert set(await engine.lease()) == {"c2"}
    reservation = (await running.call(f"{V2}/GetOrExtendReservation", request_of("given up", place))).reservation
    assert reservation.owner_id.endswith("/r1/c2"), "the next one waits for it"


def request_of(key: str, place: pb2.Identifier) -> pb2.GetOrExtendReservationRequest:
    base = pb.GetOrExtendReservationRequest(key=key, owner_id="client")
    base.heartbeat_interval.seconds = 5
    return pb2.GetOrExtendReservationRequest(base_request=base, identifier=place)
