"""Edge: the public load balancer, its certificate, its logs and its firewall."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.edge import TlsEdge, TlsEdgeProps
from signalbox_constructs.process import HTTPS_PORT
from signalbox_constructs.web_firewall import WebFirewall, WebFirewallProps
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.settings import Settings

API_PREFIXES = ("/flyteidl2.", "/signalbox.")
"""Paths of RPCs begin with their package: Flyte's, and the cluster link's."""


class EdgeStack(cdk.Stack):
    """Exposes `edge` and `firewall` (None without one)."""

    def __init__(
        self, scope: Construct, settings: Settings, env: cdk.Environment, *, keys: KeysStack, network: NetworkStack
    ) -> None:
        super().__init__(scope, f"{settings.name}-edge", env=env)

        self.edge = TlsEdge(
            self,
            "Edge",
            TlsEdgeProps(
                vpc=network.network.vpc,
                zones=settings.edge.zones,
                domain_name=settings.edge.domain_name,
                hosted_zone_id=settings.edge.hosted_zone_id,
                certificate_arn=settings.edge.certificate_arn,
                target_port=HTTPS_PORT,
            ),
        )
        self.firewall: WebFirewall | None = None
        if settings.edge.firewall:
            self.firewall = WebFirewall(
                self,
                "Firewall",
                WebFirewallProps(
                    name=settings.name,
                    requests_per_address=settings.edge.requests_per_address,
                    api_prefixes=API_PREFIXES,
                    log_key=keys.operations,
                ),
            )
            self.firewall.protect(self.edge.load_balancer)
        cdk.CfnOutput(self, "Url", value=f"https://{settings.edge.domain_name}")
        cdk.CfnOutput(
            self,
            "LoadBalancer",
            value=self.edge.load_balancer.load_balancer_dns_name,
            description="What the domain name has to point to (with a hosted zone it does)",
        )
