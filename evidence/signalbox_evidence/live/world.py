"""The account as a World, for one control: which reader gives which facts, and which calls they took."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast  # the table maps a type to lists of that type, which typing cannot say

from signalbox_evidence.catalogue import Mode
from signalbox_evidence.facts.backup import BackedUp, BackupPlan, Region, Snapshot, Vault
from signalbox_evidence.facts.compute import Container, Repository, Running, Service
from signalbox_evidence.facts.database import Cluster, ForcedTls, Instance, QueryLog, RestoreWindow
from signalbox_evidence.facts.edge import Firewall, Listener, LoadBalancer, LoadBalancerProtection, TargetGroup
from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.keys import Key, KeyPolicy, KeyRotation
from signalbox_evidence.facts.network import Endpoint, FlowLog, SecurityGroup, Subnet, Vpc
from signalbox_evidence.facts.storage import BucketAccess, BucketEncryption, BucketLock, LogGroup, Stack, StorePolicy
from signalbox_evidence.live import backup, compute, database, edge, identity, keys, network, storage
from signalbox_evidence.live.deployment import Deployment
from signalbox_evidence.live.reader import Call, Probe, Reader

T = TypeVar("T")

_READERS: dict[type, Callable[[Deployment], list[Any]]] = {
    BackedUp: backup.backed_up,
    BackupPlan: backup.plans,
    BucketAccess: storage.bucket_access,
    BucketEncryption: storage.bucket_encryptions,
    BucketLock: storage.bucket_locks,
    Cluster: database.clusters,
    Container: compute.containers,
    Endpoint: network.endpoints,
    Firewall: edge.firewalls,
    FlowLog: network.flow_logs,
    ForcedTls: database.forced_tls,
    Instance: database.instances,
    Key: keys.keys,
    KeyPolicy: keys.policies,
    KeyRotation: keys.rotations,
    Listener: edge.listeners,
    LoadBalancer: edge.load_balancers,
    LoadBalancerProtection: edge.protections,
    LogGroup: storage.log_groups,
    RestoreWindow: database.restore_windows,
    QueryLog: database.query_logs,
    Region: backup.regions,
    Repository: compute.repositories,
    RolePermissions: identity.permissions,
    RoleTrust: identity.trusts,
    Running: compute.running,
    SecurityGroup: network.security_groups,
    Service: compute.services,
    Snapshot: backup.snapshots,
    Stack: storage.stacks,
    StorePolicy: storage.store_policies,
    Subnet: network.subnets,
    TargetGroup: edge.target_groups,
    Vault: backup.vaults,
    Vpc: network.vpcs,
}


@dataclass(frozen=True)
class Place:
    """The stacks of one region, what they were given (ids by resource type), and who reads there."""

    reader: Reader
    stacks: Sequence[str]
    brought_along: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


class LiveWorld:
    """Facts of one account, over all its regions. `calls` are the calls that they took so far."""

    mode = Mode.LIVE

    def __init__(self, account: str, places: Sequence[Place]) -> None:
        self.account = account
        self.calls: list[Call] = []
        self._deployments = [
            Deployment(Probe(place.reader, self.calls), place.stacks, place.brought_along) for place in places
        ]

    def all(self, kind: type[T]) -> list[T]:
        facts = [fact for deployment in self._deployments for fact in _READERS[kind](deployment)]
        return cast("list[T]", facts)
