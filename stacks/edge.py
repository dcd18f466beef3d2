"""Edge: the public load balancer, its certificate and its access logs."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.edge import TlsEdge, TlsEdgeProps
from signalbox_constructs.process import HTTPS_PORT
from stacks.network import NetworkStack
from stacks.settings import Settings


class EdgeStack(cdk.Stack):
    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment, *, network: NetworkStack) -> None:
        super().__init__(scope, f"{settings.name}-edge", env=env)

        self.edge = TlsEdge(
            self,
            "Edge",
            TlsEdgeProps(
                vpc=network.network.vpc,
                domain_name=settings.edge.domain_name,
                hosted_zone_id=settings.edge.hosted_zone_id,
                certificate_arn=settings.edge.certificate_arn,
                target_port=HTTPS_PORT,
            ),
        )
        cdk.CfnOutput(self, "Url", value=f"https://{settings.edge.domain_name}")
        cdk.CfnOutput(
            self,
            "LoadBalancer",
            value=self.edge.load_balancer.load_balancer_dns_name,
            description="What the domain name has to point to (with a hosted zone it does)",
        )
