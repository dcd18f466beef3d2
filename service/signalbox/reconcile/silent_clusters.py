"""Takes leases back from silent clusters.

A cluster is *silent* if and only if the database has not heard a report of it for `lease_ttl`, by the database's clock.
By then the cluster has stopped its attempts by itself (`fence_after` is shorter), so that granting them anew is safe.
"""

from __future__ import annotations

from collections import defaultdict

from signalbox.control import leases
from signalbox.control.hub import Hub
from signalbox.ids import ClusterKey
from signalbox.op import Op
from signalbox.settings import Settings
from signalbox.store import work

NAME = "silent_clusters"
FULL = 500


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass; gives how many leases it looked at. FULL: there may be more."""
    async with op.db.autocommit() as tx:
        found = await work.of_silent_clusters(tx, ttl=settings.lease_ttl, limit=FULL)
    by_cluster: defaultdict[ClusterKey, list[work.Held]] = defaultdict(list)
    for cluster, held in found:
        by_cluster[cluster].append(held)
    for cluster, grants in by_cluster.items():
        await leases.take_back(op.db, hub, cluster, grants, system_retries=settings.system_retries, cause="silence")
    return len(found)
