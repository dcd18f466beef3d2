"""The edge: the only thing that the world may connect to. TLS ends here and begins again on the way to the task."""

from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.archive import AccessLogBucket
from signalbox_constructs.findings import accept, accept_of_frameworks
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import PUBLIC

IDLE_TIMEOUT = cdk.Duration.minutes(5)
"""Longer than any silence of a stream: the service sends progress at least every 10 seconds."""

KEEP_ALIVE = cdk.Duration.hours(1)
"""A connection of a client is closed after this long, so that it finds the addresses of the load balancer again."""

TARGET_WAIT = cdk.Duration.seconds(120)
"""How long a task that leaves may finish its streams; the service ends them when it is told to stop."""

_HEADERS = {
    "routing.http.response.strict_transport_security.header_value": "max-age=31536000; includeSubDomains",
    "routing.http.response.x_content_type_options.header_value": "nosniff",
    "routing.http.response.server.enabled": "false",
}
"""What every answer over TLS says: come back over TLS only, for a year; guess no type; and not what serves it."""


@dataclass(frozen=True, kw_only=True)
class TlsEdgeProps:
    vpc: ec2.IVpc
    zones: int
    """In how many of the network's zones the load balancer stands, 2 at least; tasks of the others are reached too."""
    domain_name: str
    hosted_zone_id: str | None
    certificate_arn: str | None
    target_port: int


class TlsEdge(Construct):
    """An internet-facing load balancer: HTTPS with an AEAD-only policy, and port 80 that redirects and nothing else.

    Exposes `load_balancer`, `security_group`, `target_group` (HTTPS to `target_port`, for a service to join),
    `certificate` and `access_logs` (of requests and of connections). With a hosted zone it proves the certificate and
    names the load balancer there.
    """

    def __init__(self, scope: Construct, construct_id: str, props: TlsEdgeProps) -> None:
        super().__init__(scope, construct_id)
        self.security_group = self._security_group(props.vpc)
        self.access_logs = AccessLogBucket(self, "AccessLogs")
        self.load_balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=props.vpc,
            vpc_subnets=ec2.SubnetSelection(
                subnets=props.vpc.select_subnets(subnet_group_name=PUBLIC.subnet_group_name).subnets[: props.zones]
            ),
            internet_facing=True,
            security_group=self.security_group,
            deletion_protection=True,
            drop_invalid_header_fields=True,
            desync_mitigation_mode=elbv2.DesyncMitigationMode.DEFENSIVE,
            idle_timeout=IDLE_TIMEOUT,
            client_keep_alive=KEEP_ALIVE,
            http2_enabled=True,
        )
        self._log_accesses()
        self.target_group = elbv2.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=props.vpc,
            target_type=elbv2.TargetType.IP,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            protocol_version=elbv2.ApplicationProtocolVersion.HTTP1,
            port=props.target_port,
            deregistration_delay=TARGET_WAIT,
            health_check=elbv2.HealthCheck(
                protocol=elbv2.Protocol.HTTPS,
                path="/healthz",
                healthy_http_codes="200",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )
        zone = self._zone(props)
        self.certificate = self._certificate(props, zone)
        https = self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            ssl_policy=elbv2.SslPolicy.TLS13_RES,
            certificates=[self.certificate],
            default_action=elbv2.ListenerAction.forward([self.target_group]),
            open=False,
        )
        for key, value in _HEADERS.items():
            https.set_attribute(key, value)
        redirect = self.load_balancer.add_listener(
            "Http",
            port=80,
            protocol=elbv2.ApplicationProtocol.HTTP,
            default_action=elbv2.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True),
            open=False,
        )
        accept_of_frameworks(
            redirect,
            "ELBv2ACMCertificateRequired",
            reason="Port 80 answers with a redirect to HTTPS and nothing else; without TLS there is no certificate.",
        )
        if zone:
            route53.ARecord(
                self,
                "Address",
                zone=zone,
                record_name=f"{props.domain_name}.",
                target=route53.RecordTarget.from_alias(
                    # the stubs' mismatch that principals.py explains
                    cast("route53.IAliasRecordTarget", targets.LoadBalancerTarget(self.load_balancer))
                ),
            )

    def _security_group(self, vpc: ec2.IVpc) -> ec2.SecurityGroup:
        group = ClosedSecurityGroup(self, "SecurityGroup", vpc=vpc, description="Signalbox edge")
        group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "HTTPS from anywhere")
        group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTP, "HTTP from anywhere, redirected to HTTPS")
        accept(
            group,
            "AwsSolutions::AwsSolutions-EC23",
            reason="This is the public edge: clusters, SDKs and browsers connect from anywhere. Only 443 and 80 are "
            "open, 80 answers with a redirect alone, and no other security group is open to an address.",
        )
        return group

    def _log_accesses(self) -> None:
        """Turn logs of requests and of connections on.

        The L2's `log_access_logs` would admit another account's root; this, the service. Connection logs tell what the
        others cannot: handshakes that failed, with their TLS version and cipher.
        """
        stack = cdk.Stack.of(self)
        balancers = f"arn:aws:elasticloadbalancing:{stack.region}:{stack.account}"
        self.access_logs.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LoadBalancersOfThisAccount",
                principals=[principals.service("logdelivery.elasticloadbalancing.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self.access_logs.arn_for_objects(f"AWSLogs/{stack.account}/*")],
                conditions={"ArnLike": {"aws:SourceArn": f"{balancers}:loadbalancer/app/*"}},
            )
        )
        for kind in ("access_logs", "connection_logs"):
            self.load_balancer.set_attribute(f"{kind}.s3.enabled", "true")
            self.load_balancer.set_attribute(f"{kind}.s3.bucket", self.access_logs.bucket_name)
        if self.access_logs.policy:  # the load balancer tries a write when it is created
            self.load_balancer.node.add_dependency(self.access_logs.policy)

    def _zone(self, props: TlsEdgeProps) -> route53.IHostedZone | None:
        if props.hosted_zone_id is None:
            return None
        return route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=props.hosted_zone_id, zone_name=props.domain_name
        )

    def _certificate(self, props: TlsEdgeProps, zone: route53.IHostedZone | None) -> acm.ICertificate:
        """Return the certificate: a given one, or one proven by DNS (by hand if there is no zone)."""
        if props.certificate_arn:
            return acm.Certificate.from_certificate_arn(self, "Certificate", props.certificate_arn)
        return acm.Certificate(
            self,
            "Certificate",
            domain_name=props.domain_name,
            validation=acm.CertificateValidation.from_dns(zone),
        )
