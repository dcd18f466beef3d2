"""VPCs, subnets, routes, security groups and what leads out of them."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from signalbox_evidence.facts.world import Fact, Subject

# RFC 1918, RFC 6598, RFC 4193: what cannot be the internet
_PRIVATE_V4 = [IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
_PRIVATE_V6 = [IPv6Network("fc00::/7")]


class Via(StrEnum):
    """Where a route leads."""

    LOCAL = "local"
    ENDPOINT = "vpc endpoint"
    INTERNET = "internet gateway"
    NAT = "nat gateway"
    OTHER = "other"  # transit gateway, peering, VPN, network interface, ...


@dataclass(frozen=True)
class Route:
    destination: str
    via: Via
    target: str


@dataclass(frozen=True, kw_only=True)
class Vpc:
    subject: Subject
    outside_links: Fact[tuple[str, ...]]  # peerings and transit gateway attachments, by id


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """`routes` of the table that is in force for the subnet; None when no table is associated."""

    subject: Subject
    zone: Fact[str]
    routes: Fact[tuple[Route, ...]]


@dataclass(frozen=True, kw_only=True)
class FlowLog:
    subject: Subject
    resource_id: Fact[str]
    traffic: Fact[str]
    active: Fact[bool]
    log_group: Fact[str]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A VPC endpoint that leads to `service` (`com.amazonaws.us-east-1.s3`)."""

    subject: Subject
    service: Fact[str]


class Peer(StrEnum):
    GROUP = "security group"
    CIDR = "cidr"
    PREFIX_LIST = "prefix list"


@dataclass(frozen=True)
class Rule:
    """One permission of a group: that `peer` may reach it, or that it may reach `peer`.

    Ports are None where the protocol has none (`-1`: everything).
    """

    peer: Peer
    value: str
    protocol: str
    from_port: int | None
    to_port: int | None

    @property
    def text(self) -> str:
        span = self.from_port if self.from_port == self.to_port else f"{self.from_port}-{self.to_port}"
        ports = "all ports" if self.from_port is None else span
        return f"{self.peer} {self.value}: {ports}/{self.protocol}"

    @property
    def matches_nobody(self) -> bool:
        """Whether it is the rule that stands in a closed group, so that EC2 adds none that allows everything."""
        return self.value == "255.255.255.255/32"

    @property
    def is_of_outside(self) -> bool:
        """Whether its peer is anything but a security group or private addresses."""
        if self.peer is Peer.GROUP:
            return False
        if self.peer is Peer.PREFIX_LIST:
            return True
        network = ip_network(self.value, strict=False)
        if isinstance(network, IPv4Network):
            return not any(network.subnet_of(private) for private in _PRIVATE_V4)
        return not any(network.subnet_of(private) for private in _PRIVATE_V6)


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """`declared`: the deployment's own; `used_by`: the resource types that carry the group."""

    subject: Subject
    declared: bool
    ingress: Fact[tuple[Rule, ...]]
    egress: Fact[tuple[Rule, ...]]
    used_by: Fact[tuple[str, ...]]
