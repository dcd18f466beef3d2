"""A VPC of three tiers over three availability zones.

public: load balancer and NAT only. private: tasks; out through endpoints, and through NAT where a security group allows
it. isolated: the database; its route tables hold the local route alone.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept
from signalbox_constructs.firewall import ClosedSecurityGroup

PUBLIC = ec2.SubnetSelection(subnet_group_name="public")
PRIVATE = ec2.SubnetSelection(subnet_group_name="private")
ISOLATED = ec2.SubnetSelection(subnet_group_name="isolated")


@dataclass(frozen=True, kw_only=True)
class ThreeTierNetworkProps:
    cidr: str
    nat_gateways: int
    log_key: kms.IKey


class ThreeTierNetwork(Construct):
    """The VPC with flow logs of all traffic, and the private endpoints through which tasks reach AWS.

    Exposes `vpc`, `flow_logs` and `endpoint_security_group`; a task may call AWS once its security group is allowed to
    connect to the latter on 443.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ThreeTierNetworkProps) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(props.cidr),
            max_azs=3,
            nat_gateways=props.nat_gateways,
            # Emptying the default group takes a Lambda function; nothing is attached to it, and a test holds that.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
                ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            ],
        )
        accept(
            self.vpc,
            "CloudFormation-Validate::W3010",
            reason="The zones are a setting: a look-up would need credentials, and could change the subnets.",
        )
        self.flow_logs = encrypted_log_group(self, "FlowLogs", key=props.log_key)
        self._log_all_traffic()
        self.endpoint_security_group = ClosedSecurityGroup(
            self, "Endpoints", vpc=self.vpc, description="Private endpoints of AWS services"
        )
        self._add_endpoints()

    def _log_all_traffic(self) -> None:
        writer = principals.service_role(self, "FlowLogWriter", assumed_by="vpc-flow-logs.amazonaws.com", source="ec2")
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(self.flow_logs, writer),
            traffic_type=ec2.FlowLogTrafficType.ALL,
        )

    def _add_endpoints(self) -> None:
        """Open the ways out that a task needs: pull its image, write its logs, read its secret. Each allows no more."""
        stack = cdk.Stack.of(self)
        images = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[PRIVATE])
        images.add_to_policy(
            iam.PolicyStatement(
                sid="ImageLayersOnly",
                # ECR signs these requests with its own account, so the caller cannot be narrowed, only the bucket.
                principals=[principals.anyone()],
                actions=["s3:GetObject"],
                resources=[f"arn:aws:s3:::prod-{stack.region}-starport-layer-bucket/*"],
            )
        )
        for name, service, actions in (
            ("EcrApi", ec2.InterfaceVpcEndpointAwsService.ECR, ["ecr:GetAuthorizationToken", *_PULL]),
            ("EcrDocker", ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER, ["ecr:GetAuthorizationToken", *_PULL]),
            ("Logs", ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS, ["logs:CreateLogStream", "logs:PutLogEvents"]),
            ("Secrets", ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER, ["secretsmanager:GetSecretValue"]),
        ):
            endpoint = self.vpc.add_interface_endpoint(
                name,
                service=service,
                subnets=PRIVATE,
                security_groups=[self.endpoint_security_group],
                private_dns_enabled=True,
                open=False,
            )
            endpoint.add_to_policy(
                iam.PolicyStatement(
                    sid="OwnAccount",
                    principals=[principals.anyone()],
                    actions=actions,
                    resources=["*"],
                    conditions={"StringEquals": {"aws:PrincipalAccount": stack.account}},
                )
            )


_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
