"""Leases: granted to clusters over their stream, taken back when a cluster has lost or dropped them.

Nothing here runs an attempt. A grant that never reached its cluster, a cluster that restarted, a cluster that fell
silent: each ends in `take_back`, the one way out of a lease that no report ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
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
from signalbox.store import audit, clusters, dispatch, outbox, runs, specs, work
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
            now=op.now,
            system_retries=system_retries,
            cause="session",
        )
    return len(lost)


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Grants in arrival order, with the specs that they name (by digest) and the context of their runs.

    `full`: the cluster holds all that it wants to; more only when something has ended.
    """

    granted: list[dispatch.Granted]
    full: bool
    specs: dict[bytes, bytes]
    runs: dict[runs.RunKey, runs.Context]


async def grant(
    op: Op, *, stream: int, known_specs: set[bytes], contexts: dict[runs.RunKey, runs.Context]
) -> Grants | None:
    """The next grants for the calling cluster; None when another stream has replaced this one.

    `specs` has only those that are not in `known_specs`. `contexts`: what the stream knows of runs, kept here for its
    next grants; it never changes while a run lives.
    """
    cluster = caller(op)
    async with op.db.autocommit() as tx:
        claim = await dispatch.claim(tx, cluster, stream=stream, limit=GRANT_BATCH)
        if claim is None:
            return None
        granted = claim.granted
        if not granted:
            return Grants(granted=[], full=claim.full, specs={}, runs={})
        wanted = {g.spec_digest for g in granted} - known_specs
        bodies = await specs.bodies(tx, cluster.org, sorted(wanted)) if wanted else {}
        concerned = {g.key.run_key for g in granted}
        if missing := concerned - contexts.keys():
            contexts |= await runs.contexts(tx, missing)
    GRANTS.inc(len(granted))
    shared = {key: contexts[key] for key in sorted(concerned)}
    for key in list(contexts)[: max(0, len(contexts) - _MOST_CONTEXTS)]:
        del contexts[key]
    return Grants(granted=granted, full=claim.full, specs=bodies, runs=shared)


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
    now: datetime,
    system_retries: int,
    cause: str,
) -> None:
    """End leases that are still exactly these: queue the attempts anew, or end the actions whose budget is spent."""
    async with db.transaction() as tx:
        locked = await runs.lock(tx, [grant.key.run_key for grant in grants])
        journal = Journal(locked, now=now)
        await journal.load(tx, [grant.key for grant in grants])
        for grant in grants:
            state = journal.state(grant.key)
            if state is not None and _still(state, cluster, grant):
                endings.lose(journal, state, system_retries=system_retries)
                LEASES_LOST.labels(cause).inc()
        await cascade(tx, journal)
        await journal.write(tx)
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
