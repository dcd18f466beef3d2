"""Network: the VPC, made or brought along, and the private endpoints."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.network import ExistingVpc, NewVpc, ThreeTierNetwork, ThreeTierNetworkProps
from stacks.keys import KeysStack
from stacks.settings import Settings


class NetworkStack(cdk.Stack):
    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment, *, keys: KeysStack) -> None:
        self._zones = settings.availability_zones
        super().__init__(scope, f"{settings.name}-network", env=env, termination_protection=True)
        self.template_options.metadata = {"Signalbox": {"BroughtAlong": _brought_along(settings)}}

        self.network = ThreeTierNetwork(
            self,
            "Network",
            ThreeTierNetworkProps(
                vpc=_vpc(settings, keys),
                endpoint_zones=settings.availability_zones[: settings.network.endpoint_zones],
                tasks=settings.network.tasks,
                s3_prefix_list_id=settings.network.s3_prefix_list_id,
            ),
        )

    @property
    def availability_zones(self) -> list[str]:
        """The configured zones: CDK would look them up with credentials, and synthesis has none."""
        return list(self._zones)


def _vpc(settings: Settings, keys: KeysStack) -> NewVpc | ExistingVpc:
    network, given = settings.network, settings.network.vpc
    if given is None:
        return NewVpc(cidr=network.cidr, nat_gateways=network.nat_gateways, log_key=keys.operations)
    return ExistingVpc(
        vpc_id=given.vpc_id,
        cidr=network.cidr,
        zones=settings.availability_zones,
        public_subnet_ids=given.public_subnet_ids,
        private_subnet_ids=given.private_subnet_ids,
        isolated_subnet_ids=given.isolated_subnet_ids,
        private_route_table_ids=given.private_route_table_ids,
        endpoint_security_group_id=given.endpoint_security_group_id,
    )


def _brought_along(settings: Settings) -> dict[str, list[str]]:
    """Ids by resource type: what the controls cannot judge by a template, and look for in the account."""
    given = settings.network.vpc
    if given is None:
        return {}
    subnets = [*given.public_subnet_ids, *given.private_subnet_ids, *given.isolated_subnet_ids]
    group = given.endpoint_security_group_id
    return {
        "AWS::EC2::VPC": [given.vpc_id],
        "AWS::EC2::Subnet": subnets,
        "AWS::EC2::SecurityGroup": [group] if group else [],
    }
