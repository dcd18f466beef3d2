"""The template as a World: which reader gives which facts."""

from collections.abc import Callable
from typing import Any, TypeVar, cast  # the table maps a type to lists of that type, which typing cannot say

from signalbox_evidence.catalogue import Mode
from signalbox_evidence.facts.backup import BackedUp, BackupPlan, Region, Vault
from signalbox_evidence.facts.compute import Container, Repository, Service
from signalbox_evidence.facts.database import Cluster, ForcedTls, Instance, QueryLog
from signalbox_evidence.facts.edge import Firewall, Listener, LoadBalancer, LoadBalancerProtection, TargetGroup
from signalbox_evidence.facts.identity import RolePermissions, RoleTrust
from signalbox_evidence.facts.keys import Key, KeyDeletion, KeyPolicy, KeyRotation
from signalbox_evidence.facts.network import Endpoint, FlowLog, SecurityGroup, Subnet, Vpc
from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL
from signalbox_evidence.facts.storage import (
    BucketAccess,
    BucketEncryption,
    BucketLock,
    Kept,
    LogGroup,
    Stack,
    StorePolicy,
)
from signalbox_evidence.template import backup, compute, database, edge, identity, keys, network, storage
from signalbox_evidence.template.assembly import Assembly
from signalbox_evidence.template.resources import Resources

T = TypeVar("T")

_READERS: dict[type, Callable[[Resources], list[Any]]] = {
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
    Kept: storage.kept,
    Key: keys.keys,
    KeyDeletion: keys.deletions,
    KeyPolicy: keys.policies,
    KeyRotation: keys.rotations,
    Listener: edge.listeners,
    LoadBalancer: edge.load_balancers,
    LoadBalancerProtection: edge.protections,
    LogGroup: storage.log_groups,
    QueryLog: database.query_logs,
    Region: backup.regions,
    Repository: compute.repositories,
    RolePermissions: identity.permissions,
    RoleTrust: identity.trusts,
    SecurityGroup: network.security_groups,
    Service: compute.services,
    Stack: storage.stacks,
    StorePolicy: storage.store_policies,
    Subnet: network.subnets,
    TargetGroup: edge.target_groups,
    Vault: backup.vaults,
    Vpc: network.vpcs,
}


class TemplateWorld:
    """Facts of one assembly. Its reading cannot fail: what cannot be told is Unknown in the fact itself."""

    mode = Mode.TEMPLATE

    def __init__(self, assembly: Assembly) -> None:
        self._resources = Resources(assembly)
        self._read: dict[type, list[Any]] = {}
        accounts = {stack.account for stack in assembly.stacks}
        self.account = (accounts.pop() if len(accounts) == 1 else None) or ACCOUNT_SYMBOL

    def all(self, kind: type[T]) -> list[T]:
        if kind not in self._read:
            self._read[kind] = _READERS[kind](self._resources)
        return cast("list[T]", self._read[kind])
