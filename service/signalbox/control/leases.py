"""Leases: granted to clusters over their stream, taken back when a cluster has lost or dropped them.

Nothing here runs an attempt. A grant that never reached its cluster, a cluster that restarted, a cluster that fell
silent: each ends in `take_back`, the one way out of a lease that no report ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from signalbox.control import endings
from signalbox.control.actions import cascade, publish
from signalbox.control.hub import Hub, cluster_topic
from signalbox.control.journal import Journal
from signalbox.errors import Unauthenticated
from signalbox.ids import ClusterKey
from signalbox.metrics import GRANTS, LEASES_LOST
from signalbox.op import Op
from signalbox.rules.roles import Permission
from signalbox.store import audit, clock, clusters, dispatch, outbox, runs, specs, work
from signalbox.store.actions import State
from signalbox.store.db import Database, Tx

JOIN_TOKEN_PREFIX = "sbj_"  # noqa: S105  # greppable, not a secret
CREDENTIAL_PREFIX = "sbc_"

GRANT_BATCH = 100
ABORT_BATCH = 500
_MOST_CONTEXTS = 1000


@dataclass(frozen=True, kw_only=True)
class Credential:
    cluster: ClusterKey
    token: str
    expires_at: datetime


async def create_join_token(op: Op, cluster: ClusterKey, *, life: timedelta) -> Credential:
    """A token that enrols the cluster once, until it expires. Shown now and never again."""
    op.require(Permission.PROJECT_WRITE)
    token = JOIN_TOKEN_PREFIX + secrets.token_urlsafe(32)
    async with op.transaction() as tx:
        expires_at = await clusters.insert_join_token(tx, cluster, token=token, by=str(op.who), life=life)
        await audit.append(
            tx, audit.Entry(cluster.org, str(op.who), "cluster.create_join_token", str(cluster), op.request_id)
        )
    return Credential(cluster=cluster, token=token, expires_at=expires_at)


async def enrol(op: Op, join_token: str, facts: clusters.Facts, *, life: timedelta) -> Credential:
    """First credential of the cluster that the token names; the token is spent. Raises Unauthenticated."""
    async with op.transaction() as tx:
        cluster = await clusters.use_join_token(tx, join_token)
        if cluster is None:
            raise Unauthenticated("join_token: unknown, expired or used", hint="create a new one")
        await clusters.enrol(tx, cluster, facts)
        credential = await _credential(tx, cluster, life=life)
        await audit.append(
            tx, audit.Entry(cluster.org, f"cluster:{cluster}", "cluster.enrol", str(cluster), op.request_id)
        )
    return credential


async def renew(op: Op, *, life: timedelta) -> Credential:
    """A further credential of the calling cluster; the present one stays valid until its own expiry."""
    op.require(Permission.CLUSTER_LINK)
    cluster = caller(op)
    async with op.transaction() as tx:
        credential = await _credential(tx, cluster, life=life)
        await audit.append(tx, audit.Entry(cluster.org, str(op.who), "cluster.renew", str(cluster), op.request_id))
    return credential


def caller(op: Op) -> ClusterKey:
    """The cluster that calls. Raises Unauthenticated when it is not one."""
    if op.who.cluster is None:
        raise Unauthenticated("only a cluster may call this, with its credential")
    return op.who.cluster


async def begin(op: Op, hub: Hub, cluster: ClusterKey, *, session: str, capacity: int, facts: clusters.Facts) -> int:
    """Number of the cluster's new lease stream: from now on only this one is given grants, and the old one ends."""
    op.require(Permission.CLUSTER_LINK)
    async with op.transaction() as tx:
        stream = await clusters.begin_stream(tx, cluster, session=session, capacity=capacity, facts=facts)
    hub.publish([cluster_topic(cluster)])
    return stream


async def sweep(op: Op, hub: Hub, held: Sequence[work.Held], *, system_retries: int) -> int:
    """Take back what the calling cluster was granted and does not hold; gives how many."""
    op.require(Permission.CLUSTER_LINK)
    cluster = caller(op)
    async with op.db.autocommit() as tx:
        granted = await work.held_by(tx, cluster)
    known = set(held)
    lost = [grant for grant in granted if grant not in known]
    for start in range(0, len(lost), GRANT_BATCH):
        await take_back(
            op.db,
            hub,
            cluster,
            lost[start : start + GRANT_BATCH],
            system_retries=system_retries,
            cause="session",
        )
    return len(lost)


@dataclass(kw_only=True)
class Stream:
    """A cluster's lease stream: what it was told already, so that grants only name it, and what room the cluster has.

    `contexts` never change while a run lives. `room`: as of the last claim; None when it must be counted.
    """

    number: int
    specs: set[bytes] = field(default_factory=set[bytes])
    contexts: dict[runs.RunKey, runs.Context] = field(default_factory=dict[runs.RunKey, runs.Context])
    room: int | None = None


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Grants in arrival order, with the specs that the stream has not had yet (by digest), and their runs' contexts.

    `full`: the cluster holds all that it wants to; more only when something of it has ended. `limited`: limits of
    queues may have held something back, until something of the org has ended.
    """

    granted: list[dispatch.Granted]
    full: bool
    limited: bool
    specs: dict[bytes, bytes]
    runs: dict[runs.RunKey, runs.Context]


async def grant(op: Op, stream: Stream, *, ttl: timedelta) -> Grants | None:
    """The next grants for the calling cluster; None when another stream has replaced this one.

    `ttl`: a cluster silent for longer gets none.
    """
    cluster = caller(op)
    async with op.db.autocommit() as tx:
        claim = await dispatch.claim(tx, cluster, stream=stream.number, limit=GRANT_BATCH, room=stream.room, ttl=ttl)
        if claim is None:
            return None
        stream.room = claim.room if claim.room >= GRANT_BATCH else None
        granted = claim.granted
        wanted = {g.spec_digest for g in granted} - stream.specs
        bodies = await specs.bodies(tx, cluster.org, sorted(wanted)) if wanted else {}
        concerned = {g.key.run_key for g in granted}
        if missing := concerned - stream.contexts.keys():
            stream.contexts |= await runs.contexts(tx, missing)
    GRANTS.inc(len(granted))
    shared = {key: stream.contexts[key] for key in sorted(concerned)}
    for key in list(stream.contexts)[: max(0, len(stream.contexts) - _MOST_CONTEXTS)]:
        del stream.contexts[key]
    stream.specs |= bodies.keys()
    return Grants(granted=granted, full=claim.room == 0, limited=claim.limited, specs=bodies, runs=shared)


async def aborts(op: Op, *, after: int) -> list[outbox.Abort]:
    """What the calling cluster must stop, with ids above `after`; `ABORT_BATCH` of them at most."""
    async with op.db.autocommit() as tx:
        return await outbox.aborts(tx, caller(op), after=after, limit=ABORT_BATCH)


async def heard_of(op: Op, *, session: str) -> bool:
    """The cluster is alive. False: a newer session has replaced this one."""
    op.require(Permission.CLUSTER_LINK)
    async with op.db.autocommit() as tx:
        return await clusters.touch(tx, caller(op), session=session)


async def take_back(
    db: Database,
    hub: Hub,
    cluster: ClusterKey,
    grants: Sequence[work.Held],
    *,
    system_retries: int,
    cause: str,
) -> None:
    """End leases that are still exactly these: queue the attempts anew, or end the actions whose budget is spent."""
    async with db.transaction() as tx:
        locked = await runs.lock(tx, [grant.key.run_key for grant in grants])
        journal = Journal(locked, now=await clock.now(tx))
        await journal.load(tx, [grant.key for grant in grants])
        for grant in grants:
            state = journal.state(grant.key)
            if state is not None and _still(state, cluster, grant):
                endings.lose(journal, state, system_retries=system_retries)
                LEASES_LOST.labels(cause).inc()
        await cascade(tx, journal)
    publish(hub, journal)


def _still(state: State, cluster: ClusterKey, grant: work.Held) -> bool:
    live = state.live
    return live is not None and (live.cluster, state.attempt, live.epoch) == (
        cluster.cluster,
        grant.attempt,
        grant.epoch,
    )


async def _credential(tx: Tx, cluster: ClusterKey, *, life: timedelta) -> Credential:
    token = CREDENTIAL_PREFIX + secrets.token_urlsafe(32)
    expires_at = await clusters.insert_credential(tx, cluster, token=token, life=life)
    return Credential(cluster=cluster, token=token, expires_at=expires_at)
