"""Which cluster serves a client's data: the one that has it, or any that can take it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from signalbox.errors import NotFound, Unavailable
from signalbox.ids import ActionKey, ClusterKey
from signalbox.op import Op
from signalbox.rules.roles import Permission
from signalbox.store import action_details, clusters
from signalbox.store.clusters import Cluster


async def for_org(op: Op, org: str, *, ttl: timedelta) -> Cluster:
    """The first healthy cluster of the org. Raises Unavailable when there is none."""
    op.require(Permission.CLUSTER_SELECT)
    async with op.db.autocommit() as tx:
        known = await clusters.of_org(tx, org, ttl=ttl)
    return _healthy(known, org)


async def for_action(op: Op, key: ActionKey, *, ttl: timedelta) -> Cluster:
    """The cluster that ran the action's newest attempt while it is healthy, else the first one that is.

    All clusters of an org share their object store, so that another one can serve the action's data; its logs it will
    say it does not have. Raises NotFound, Unavailable.
    """
    op.require(Permission.CLUSTER_SELECT)
    async with op.db.snapshot() as tx:
        ran = await action_details.cluster(tx, key)
        known = await clusters.of_org(tx, key.org, ttl=ttl)
    if ran is None:
        raise NotFound(f"action {key}: not found")
    for cluster in known:
        if cluster.name == ran and cluster.healthy:
            return cluster
    return _healthy(known, key.org)


async def named(op: Op, key: ClusterKey, *, ttl: timedelta) -> Cluster:
    """Raises NotFound, or Unavailable when the cluster is silent."""
    op.require(Permission.CLUSTER_SELECT)
    async with op.db.autocommit() as tx:
        known = await clusters.of_org(tx, key.org, ttl=ttl)
    chosen = [cluster for cluster in known if cluster.name == key.cluster]
    if not chosen:
        raise NotFound(f"cluster {key}: not found")
    return _healthy(chosen, key.org)


def _healthy(known: Sequence[Cluster], org: str) -> Cluster:
    for cluster in known:
        if cluster.healthy:
            return cluster
    if not known:
        raise Unavailable(f"org {org}: no cluster is registered", hint="enrol a data plane with a join token")
    silent = ", ".join(f"{c.name} silent since {c.last_seen_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" for c in known)
    raise Unavailable(f"org {org}: no cluster is healthy: {silent}")
