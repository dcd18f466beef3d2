"""CacheService, both versions: for clients that keep results themselves. Actions are cached without it."""

from __future__ import annotations

from datetime import timedelta

from flyteidl2.cacheservice import cacheservice_pb2 as pb
from flyteidl2.cacheservice.v2 import cacheservice_pb2 as pb2
from google.protobuf.duration_pb2 import Duration

from signalbox import ids
from signalbox.api import wire
from signalbox.api.interceptors import Handlers
from signalbox.control import cache
from signalbox.errors import Invalid
from signalbox.op import Op
from signalbox.rules import texts
from signalbox.rules.cache import GLOBAL, scope
from signalbox.settings import Settings
from signalbox.store.cache import CacheKey

_V1 = "flyteidl2.cacheservice.CacheService"
_V2 = "flyteidl2.cacheservice.v2.CacheService"
_SHORTEST_HEARTBEAT, _LONGEST_HEARTBEAT = timedelta(seconds=1), timedelta(minutes=10)


class Cache:
    """Keys of version 1 count in the default org as a whole; version 2 names project and domain."""

    def __init__(self, settings: Settings) -> None:
        self._org = settings.default_org

    def handlers(self) -> Handlers:
        return {
            f"{_V1}/Get": self.get,
            f"{_V1}/Put": self.put,
            f"{_V1}/Delete": self.delete,
            f"{_V1}/GetOrExtendReservation": self.reserve,
            f"{_V1}/ReleaseReservation": self.release,
            f"{_V2}/Get": self.get2,
            f"{_V2}/Put": self.put2,
            f"{_V2}/Delete": self.delete2,
            f"{_V2}/GetOrExtendReservation": self.reserve2,
            f"{_V2}/ReleaseReservation": self.release2,
        }

    async def get(self, op: Op, request: pb.GetCacheRequest) -> pb.GetCacheResponse:
        return await _get(op, self._key(request.key))

    async def get2(self, op: Op, request: pb2.GetCacheRequest) -> pb.GetCacheResponse:
        return await _get(op, _scoped(request.identifier, request.base_request.key))

    async def put(self, op: Op, request: pb.PutCacheRequest) -> pb.PutCacheResponse:
        return await _put(op, self._key(request.key), request)

    async def put2(self, op: Op, request: pb2.PutCacheRequest) -> pb.PutCacheResponse:
        return await _put(op, _scoped(request.identifier, request.base_request.key), request.base_request)

    async def delete(self, op: Op, request: pb.DeleteCacheRequest) -> pb.DeleteCacheResponse:
        await cache.delete(op, self._key(request.key))
        return pb.DeleteCacheResponse()

    async def delete2(self, op: Op, request: pb2.DeleteCacheRequest) -> pb.DeleteCacheResponse:
        await cache.delete(op, _scoped(request.identifier, request.base_request.key))
        return pb.DeleteCacheResponse()

    async def reserve(self, op: Op, request: pb.GetOrExtendReservationRequest) -> pb.GetOrExtendReservationResponse:
        return await _reserve(op, self._key(request.key), request)

    async def reserve2(self, op: Op, request: pb2.GetOrExtendReservationRequest) -> pb.GetOrExtendReservationResponse:
        return await _reserve(op, _scoped(request.identifier, request.base_request.key), request.base_request)

    async def release(self, op: Op, request: pb.ReleaseReservationRequest) -> pb.ReleaseReservationResponse:
        await cache.release(op, self._key(request.key), owner=_owner(request.owner_id))
        return pb.ReleaseReservationResponse()

    async def release2(self, op: Op, request: pb2.ReleaseReservationRequest) -> pb.ReleaseReservationResponse:
        base = request.base_request
        await cache.release(op, _scoped(request.identifier, base.key), owner=_owner(base.owner_id))
        return pb.ReleaseReservationResponse()

    def _key(self, key: str) -> CacheKey:
        return CacheKey(self._org, GLOBAL, ids.cache_key(key, what="key"))


def _scoped(identifier: pb2.Identifier, key: str) -> CacheKey:
    place = wire.scope_key(identifier.org, identifier.project, identifier.domain)
    return CacheKey(place.org, scope(place.project, place.domain, is_global=False), ids.cache_key(key, what="key"))


def _owner(owner: str) -> str:
    """What clients call themselves can never be an action's own reservation."""
    return "client:" + ids.task_name(owner.replace("/", ":"), what="owner_id")


async def _get(op: Op, key: CacheKey) -> pb.GetCacheResponse:
    found = await cache.get(op, key)
    output = pb.CachedOutput(output_uri=found.output_uri)
    output.metadata.created_at.CopyFrom(wire.timestamp(found.created_at))
    output.metadata.last_updated_at.CopyFrom(wire.timestamp(found.updated_at))
    return pb.GetCacheResponse(output=output)


async def _put(op: Op, key: CacheKey, request: pb.PutCacheRequest) -> pb.PutCacheResponse:
    if request.output.WhichOneof("output") != "output_uri" or not request.output.output_uri:
        raise Invalid(
            "output: output_uri is needed", hint="literals are payload, and no payload passes the control plane"
        )
    if request.overwrite.delete_blob:
        raise Invalid("overwrite.delete_blob: the objects are the data plane's, the control plane cannot delete them")
    max_age = (
        _duration(request.overwrite.max_age, "overwrite.max_age") if request.overwrite.HasField("max_age") else None
    )
    uri = wire.text(request.output.output_uri, what="output.output_uri", longest=texts.URI)
    await cache.put(op, key, output_uri=uri, max_age=max_age or None, overwrite=request.overwrite.overwrite)
    return pb.PutCacheResponse()


async def _reserve(
    op: Op, key: CacheKey, request: pb.GetOrExtendReservationRequest
) -> pb.GetOrExtendReservationResponse:
    asked = _duration(request.heartbeat_interval, "heartbeat_interval")
    heartbeat = min(max(asked, _SHORTEST_HEARTBEAT), _LONGEST_HEARTBEAT)
    found = await cache.get_or_extend(op, key, owner=_owner(request.owner_id), heartbeat=heartbeat)
    own = found.owner == _owner(request.owner_id)
    reservation = pb.Reservation(
        key=request.key, owner_id=request.owner_id if own else found.owner.removeprefix("client:")
    )
    if found.heartbeat is not None:
        reservation.heartbeat_interval.FromTimedelta(found.heartbeat)
    if found.expires_at is not None:
        reservation.expires_at.CopyFrom(wire.timestamp(found.expires_at))
    return pb.GetOrExtendReservationResponse(reservation=reservation)


def _duration(duration: Duration, what: str) -> timedelta:
    try:
        found = duration.ToTimedelta()
    except (OverflowError, ValueError):
        found = timedelta(days=-1)
    if found < timedelta(0):
        raise Invalid(f"{what}: a duration that is not negative, got {duration.seconds} s")
    return found
