"""The private ways from tasks to AWS. Each endpoint's policy admits this account's principals, and what they need."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from signalbox_constructs import principals

_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
_REGISTRY = ("ecr:GetAuthorizationToken", *_PULL, "ecr:Describe*")

# A private DNS name covers every caller in the VPC, so each policy has to admit what evidence is read by too.
_SERVICES = (
    ("EcrApi", ec2.InterfaceVpcEndpointAwsService.ECR, _REGISTRY),
    ("EcrDocker", ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER, _REGISTRY),
    (
        "Logs",
        ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
        ("logs:CreateLogStream", "logs:PutLogEvents", "logs:Describe*"),
    ),
    (
        "Secrets",
        ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
        ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"),
    ),
)


def add_interface_endpoints(
    scope: Construct, vpc: ec2.IVpc, group: ec2.ISecurityGroup, *, subnets: ec2.SubnetSelection
) -> list[ec2.InterfaceVpcEndpoint]:
    """Add the endpoints by which a task pulls its image, writes its logs and reads its secrets; all wear `group`."""
    made: list[ec2.InterfaceVpcEndpoint] = []
    for name, service, actions in _SERVICES:
        endpoint = ec2.InterfaceVpcEndpoint(
            scope,
            name,
            vpc=vpc,
            service=service,
            subnets=subnets,
            security_groups=[group],
            private_dns_enabled=True,
            open=False,
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(
                sid="OwnAccount",
                principals=[principals.anyone()],
                actions=list(actions),
                resources=["*"],
                conditions={"StringEquals": {"aws:PrincipalAccount": cdk.Stack.of(scope).account}},
            )
        )
        made.append(endpoint)
    return made


def add_object_endpoint(scope: Construct, vpc: ec2.IVpc, *, subnets: ec2.SubnetSelection) -> ec2.GatewayVpcEndpoint:
    """Add the gateway to S3 to the route tables of `subnets`: ECR's layers, and buckets of this account only."""
    stack = cdk.Stack.of(scope)
    endpoint = ec2.GatewayVpcEndpoint(
        scope, "S3", vpc=vpc, service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[subnets]
    )
    endpoint.add_to_policy(
        iam.PolicyStatement(
            sid="ImageLayers",
            # ECR signs these requests with its own account, so the caller cannot be narrowed, only the bucket.
            principals=[principals.anyone()],
            actions=["s3:GetObject"],
            resources=[f"arn:aws:s3:::prod-{stack.region}-starport-layer-bucket/*"],
        )
    )
    endpoint.add_to_policy(
        iam.PolicyStatement(
            sid="OwnBuckets",
            principals=[principals.anyone()],
            actions=["s3:Get*", "s3:List*", "s3:PutObject"],
            resources=["*"],
            conditions={"StringEquals": {"aws:PrincipalAccount": stack.account, "aws:ResourceAccount": stack.account}},
        )
    )
    return endpoint
