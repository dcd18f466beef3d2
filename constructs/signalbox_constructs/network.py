"""A network of three tiers over three availability zones, made or brought along.

public: load balancer and NAT. private: tasks; out through endpoints, and through NAT where a security group allows it.
isolated: the database; its route tables hold the local route alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.access_lists import fence
from signalbox_constructs.default_group import EmptyDefaultGroup
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.endpoints import add_interface_endpoints, add_object_endpoint
from signalbox_constructs.findings import accept, accept_of_frameworks
from signalbox_constructs.firewall import ClosedSecurityGroup

PUBLIC = ec2.SubnetSelection(subnet_group_name="public")
PRIVATE = ec2.SubnetSelection(subnet_group_name="private")
ISOLATED = ec2.SubnetSelection(subnet_group_name="isolated")

_TIERS = {"public": PUBLIC, "private": PRIVATE}


@dataclass(frozen=True, kw_only=True)
class NewVpc:
    cidr: str
    nat_gateways: int
    log_key: kms.IKey
    """Encrypts the flow logs."""


@dataclass(frozen=True, kw_only=True)
class ExistingVpc:
    """A VPC of somebody else. Its routes, access lists, flow logs and default group are theirs to keep.

    Subnets and route tables are listed in the order of `zones`.
    """

    vpc_id: str
    cidr: str
    zones: Sequence[str]
    public_subnet_ids: Sequence[str]
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]
    private_route_table_ids: Sequence[str] = ()
    """Where the gateway to S3 is entered; none for a VPC that has one."""
    endpoint_security_group_id: str | None = None
    """Worn by the endpoints that stand there already."""


@dataclass(frozen=True, kw_only=True)
class ThreeTierNetworkProps:
    vpc: NewVpc | ExistingVpc
    endpoint_zones: Sequence[str]
    """Zones of the private tier in which the interface endpoints stand; none for no endpoints."""
    tasks: Literal["private", "public"]
    """The tier of the tasks: the only one that the access lists let through to the database."""
    s3_prefix_list_id: str
    """The region's managed prefix list of S3."""


class ThreeTierNetwork(Construct):
    """The VPC, and the private endpoints through which tasks reach AWS.

    Exposes `vpc`, `flow_logs` (of a VPC of our own) and `endpoint_security_group`. A new VPC logs all of its flows, has
    a list for each tier and an empty default group.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ThreeTierNetworkProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.vpc: ec2.IVpc
        self.flow_logs: logs.LogGroup | None = None
        match props.vpc:
            case NewVpc() as wanted:
                self.vpc = self._make(wanted)
            case ExistingVpc() as given:
                self.vpc = self._import(given)
        self.endpoint_security_group = self._endpoint_group()
        if props.endpoint_zones:
            subnets = ec2.SubnetSelection(
                subnet_group_name=PRIVATE.subnet_group_name, availability_zones=list(props.endpoint_zones)
            )
            add_interface_endpoints(self, self.vpc, self.endpoint_security_group, subnets=subnets)
        if isinstance(props.vpc, NewVpc) or props.vpc.private_route_table_ids:
            add_object_endpoint(self, self.vpc, subnets=_TIERS[props.tasks])

    def allow_calls_of(self, caller: ec2.IConnectable, description: str) -> None:
        """Let `caller` reach the AWS services of a task: by the endpoints and the gateway to S3, else by HTTPS at all.

        The latter where no endpoint stands: in a network that tasks leave by public addresses or by NAT.
        """
        given = self._props.vpc
        theirs = isinstance(given, ExistingVpc) and given.endpoint_security_group_id is not None
        if not self._props.endpoint_zones and not theirs:
            caller.connections.allow_to_any_ipv4(ec2.Port.HTTPS, f"{description} to AWS")
            return
        caller.connections.allow_to(self.endpoint_security_group, ec2.Port.HTTPS, f"{description} to AWS endpoints")
        caller.connections.allow_to(
            ec2.Peer.prefix_list(self._props.s3_prefix_list_id), ec2.Port.HTTPS, f"{description} to S3"
        )

    def _make(self, wanted: NewVpc) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(wanted.cidr),
            max_azs=3,
            nat_gateways=wanted.nat_gateways,
            restrict_default_security_group=False,  # would take a Lambda function
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
                ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            ],
        )
        self._log_all_traffic(vpc, wanted.log_key)
        fence(self, vpc, public=PUBLIC, private=PRIVATE, isolated=ISOLATED, tasks=_TIERS[self._props.tasks])
        EmptyDefaultGroup(self, "DefaultGroup", vpc=vpc)
        _explain(vpc)
        return vpc

    def _log_all_traffic(self, vpc: ec2.Vpc, key: kms.IKey) -> None:
        self.flow_logs = encrypted_log_group(self, "FlowLogs", key=key)
        writer = principals.service_role(self, "FlowLogWriter", assumed_by="vpc-flow-logs.amazonaws.com", source="ec2")
        vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(self.flow_logs, writer),
            traffic_type=ec2.FlowLogTrafficType.ALL,
        )

    def _import(self, given: ExistingVpc) -> ec2.IVpc:
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=given.vpc_id,
            vpc_cidr_block=given.cidr,
            availability_zones=list(given.zones),
            public_subnet_ids=list(given.public_subnet_ids),
            public_subnet_names=["public"],
            private_subnet_ids=list(given.private_subnet_ids),
            private_subnet_names=["private"],
            private_subnet_route_table_ids=list(given.private_route_table_ids) or None,
            isolated_subnet_ids=list(given.isolated_subnet_ids),
            isolated_subnet_names=["isolated"],
        )

    def _endpoint_group(self) -> ec2.ISecurityGroup:
        given = self._props.vpc
        if isinstance(given, ExistingVpc) and given.endpoint_security_group_id:
            return ec2.SecurityGroup.from_security_group_id(
                self, "Endpoints", given.endpoint_security_group_id, mutable=False
            )
        return ClosedSecurityGroup(self, "Endpoints", vpc=self.vpc, description="Private endpoints of AWS services")


def _explain(vpc: ec2.Vpc) -> None:
    accept(
        vpc,
        "CloudFormation-Validate::W3010",
        reason="The zones are a setting: a look-up would need credentials, and could change the subnets.",
    )
    accept_of_frameworks(
        vpc,
        "VPCDefaultSecurityGroupClosed",
        reason=f"CloudFormation cannot close it. The schedules beside the VPC empty it, {cdk.Stack.of(vpc).stack_name} "
        "has them, and nothing wears it.",
    )
    for subnet in vpc.public_subnets:
        accept_of_frameworks(
            subnet,
            "VPCNoUnrestrictedRouteToIGW",
            reason="The tier of the load balancer and of NAT, whose security groups say who comes in; the tiers of "
            "tasks and of the database have no such route.",
        )
