"""Results that stand for others: looked up when an action begins, kept when it succeeds; and CacheService."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from signalbox.errors import AlreadyExists, NotFound
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules.cache import CacheStatus, scope
from signalbox.rules.phases import Phase
from signalbox.rules.roles import Permission
from signalbox.rules.timers import Owner
from signalbox.store import audit, cache
from signalbox.store.cache import CacheKey, Entry, NewEntry, Reservation
from signalbox.store.db import Tx
from signalbox.store.new_actions import NewAction
from signalbox.store.runs import Locked


async def answered(tx: Tx, new: Sequence[NewAction], runs: Mapping[ActionKey, Locked]) -> list[NewAction]:
    """The actions, in their order: answered from the cache where it has their results, else to run or to wait.

    Of serialized actions with one key, the first takes the key's reservation and runs; the others wait for it.
    """
    scoped = [_scoped(action, runs[action.key]) for action in new]
    keys = {_key(action) for action in scoped if action.cache_status is CacheStatus.MISS}
    found = await cache.look(tx, sorted(keys)) if keys else {}
    resolved = [_resolved(action, found) for action in scoped]
    wanted: dict[CacheKey, ActionKey] = {}
    for action in resolved:
        if _is_serialized(action):
            wanted.setdefault(_key(action), action.key)
    held, late = await compete(tx, wanted)
    resolved = [_resolved(action, late) for action in resolved]
    await concede(tx, [action.key for action in resolved if action.owner is None and action.key in held.values()])
    return [
        action._replace(owner=Owner.CACHE)
        if _is_serialized(action) and held.get(_key(action)) != action.key
        else action
        for action in resolved
    ]


async def compete(
    tx: Tx, wanted: Mapping[CacheKey, ActionKey]
) -> tuple[Mapping[CacheKey, ActionKey], Mapping[CacheKey, Entry]]:
    """Reserve the keys for the actions; gives those that got theirs, and the results that are there by now.

    The reservation may have waited for the very report that freed it: its result is seen only by a statement that
    begins afterwards. Who is answered with one must `concede`.
    """
    if not wanted:
        return {}, {}
    got = await cache.reserve(tx, [(key, str(action)) for key, action in wanted.items()])
    held = {key: action for key, action in wanted.items() if key in got}
    return held, await cache.look(tx, sorted(held)) if held else {}


async def concede(tx: Tx, keys: Sequence[ActionKey]) -> None:
    """The actions compute nothing (any more): others may."""
    for org in sorted({key.org for key in keys}):
        await cache.release(tx, org, [str(key) for key in keys if key.org == org])


def _is_serialized(action: NewAction) -> bool:
    return action.is_serialized and action.cache_status is CacheStatus.MISS and action.owner is not None


def _scoped(action: NewAction, run: Locked) -> NewAction:
    if not action.cache_key or action.owner is None:
        return action
    return action._replace(
        cache_scope=scope(action.key.project, action.key.domain, is_global=run.cache_global),
        cache_status=CacheStatus.SKIPPED if run.overwrite_cache else CacheStatus.MISS,
    )


def _resolved(action: NewAction, found: Mapping[CacheKey, Entry]) -> NewAction:
    entry = found.get(_key(action)) if action.cache_status is CacheStatus.MISS else None
    if entry is None or not entry.serves(action.cache_max_age):
        return action
    return action.over(Phase.SUCCEEDED, output_uri=entry.output_uri)._replace(cache_status=CacheStatus.HIT)


def _key(action: NewAction) -> CacheKey:
    return CacheKey(action.key.org, action.cache_scope, action.cache_key)


async def get(op: Op, key: CacheKey) -> Entry:
    """Raises NotFound."""
    op.require(Permission.CACHE_READ)
    async with op.db.autocommit() as tx:
        found = await cache.look(tx, [key])
    if key not in found:
        raise NotFound(f"key {key.key!r}: nothing is kept under it")
    return found[key]


async def put(op: Op, key: CacheKey, *, output_uri: str, max_age: timedelta | None, overwrite: bool) -> None:
    """Raises AlreadyExists unless it may overwrite."""
    op.require(Permission.CACHE_WRITE)
    entry = NewEntry(key, output_uri, str(op.who), max_age, overwrite)
    async with op.transaction() as tx:
        if not await cache.put(tx, [entry]):
            raise AlreadyExists(f"key {key.key!r}: a result is kept under it", hint="overwrite it")
        await cache.wake(tx, [key])
        await audit.append(tx, audit.Entry(key.org, str(op.who), "cache.put", "/".join(key), op.request_id))


async def delete(op: Op, key: CacheKey) -> None:
    """Raises NotFound."""
    op.require(Permission.CACHE_WRITE)
    async with op.transaction() as tx:
        if not await cache.delete(tx, key):
            raise NotFound(f"key {key.key!r}: nothing is kept under it")
        await audit.append(tx, audit.Entry(key.org, str(op.who), "cache.delete", "/".join(key), op.request_id))


async def get_or_extend(op: Op, key: CacheKey, *, owner: str, heartbeat: timedelta) -> Reservation:
    """The reservation in force, the caller's own (which now lives for three heartbeats more) or somebody else's."""
    op.require(Permission.CACHE_WRITE)
    async with op.transaction() as tx:
        return await cache.get_or_extend(tx, key, owner=owner, heartbeat=heartbeat, life=heartbeat * 3)


async def release(op: Op, key: CacheKey, *, owner: str) -> None:
    """End the owner's reservation; that of somebody else stays."""
    op.require(Permission.CACHE_WRITE)
    async with op.transaction() as tx:
        await cache.release_one(tx, key, owner=owner)
        await cache.wake(tx, [key])
