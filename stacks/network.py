"""Network: the VPC and the private endpoints."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.network import ThreeTierNetwork, ThreeTierNetworkProps
from stacks.keys import KeysStack
from stacks.settings import Settings


class NetworkStack(cdk.Stack):
    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment, *, keys: KeysStack) -> None:
        self._zones = settings.availability_zones
        super().__init__(scope, f"{settings.name}-network", env=env, termination_protection=True)

        self.network = ThreeTierNetwork(
            self,
            "Network",
            ThreeTierNetworkProps(
                cidr=settings.network.cidr, nat_gateways=settings.network.nat_gateways, log_key=keys.operations
            ),
        )

    @property
    def availability_zones(self) -> list[str]:
        """The configured zones: CDK would look them up with credentials, and synthesis has none."""
        return list(self._zones)
