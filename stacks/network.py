"""Network: the key of all logs, the VPC and the private endpoints. Everything else stands on it."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.encryption import customer_key, grant_to_logs
from signalbox_constructs.network import ThreeTierNetwork, ThreeTierNetworkProps
from stacks.settings import Settings


class NetworkStack(cdk.Stack):
    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment) -> None:
        self._zones = settings.availability_zones
        super().__init__(scope, f"{settings.name}-network", env=env, termination_protection=True)

        self.log_key = customer_key(self, "LogKey", description="Signalbox: logs")
        grant_to_logs(self.log_key)
        self.network = ThreeTierNetwork(
            self,
            "Network",
            ThreeTierNetworkProps(cidr=settings.vpc_cidr, nat_gateways=settings.nat_gateways, log_key=self.log_key),
        )

    @property
    def availability_zones(self) -> list[str]:
        """The configured zones: CDK would look them up with credentials, and synthesis has none."""
        return list(self._zones)
