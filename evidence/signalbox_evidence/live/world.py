"""The account as a World, for one control: which reader gives which facts, and which calls they took."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast  # the table maps a type to lists of that type, which typing cannot say

from signalbox_evidence.catalogue import Mode
from signalbox_evidence.facts.compute import Container, Running, Service
from signalbox_evidence.facts.database import Cluster, ForcedTls, Instance, RestoreWindow
from signalbox_evidence.facts.edge import Listener, LoadBalancer, LoadBalancerProtection, TargetGroup
from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.keys import Key, KeyPolicy, KeyRotation
from signalbox_evidence.facts.network import Endpoint, FlowLog, SecurityGroup, Subnet, Vpc
from signalbox_evidence.facts.storage import BucketAccess, LogGroup, Stack, StorePolicy
from signalbox_evidence.live import compute, database, edge, identity, keys, network, storage
from signalbox_evidence.live.deployment import Deployment
from signalbox_evidence.live.reader import Probe, Reader

T = TypeVar("T")

_READERS: dict[type, Callable[[Deployment], list[Any]]] = {
    BucketAccess: storage.bucket_access,
    Cluster: database.clusters,
    Container: compute.containers,
    Endpoint: network.endpoints,
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
    RolePermissions: identity.permissions,
    RoleTrust: identity.trusts,
    Running: compute.running,
    SecurityGroup: network.security_groups,
    Service: compute.services,
    Stack: storage.stacks,
    StorePolicy: storage.store_policies,
    Subnet: network.subnets,
    TargetGroup: edge.target_groups,
    Vpc: network.vpcs,
}


class LiveWorld:
    """Facts of one account and region. `probe.calls` are the calls that they took so far."""

    mode = Mode.LIVE

    def __init__(self, reader: Reader, account: str, stacks: Sequence[str]) -> None:
        self.account = account
        self.probe = Probe(reader)
        self._deployment = Deployment(self.probe, stacks)

    def all(self, kind: type[T]) -> list[T]:
        facts = _READERS[kind](self._deployment)
        return cast("list[T]", facts)
