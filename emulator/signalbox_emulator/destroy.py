"""`destroy`: the real `cdk destroy --all` of what is recorded, after what a person would have to do on AWS before it.

Protections are lifted through the services' own APIs, each with a line; what the template retains keeps its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from signalbox_emulator import assembly
from signalbox_emulator.cdk import Cdk
from signalbox_emulator.cloudformation.template import parse
from signalbox_emulator.deployment import Deployment, Report
from signalbox_emulator.environment import REGION, aws_environment, with_node

JsonObject = dict[str, Any]
Clients = Callable[[str], Any]
"""service -> boto3 client of a stack's region"""


@dataclass(frozen=True, kw_only=True)
class _Held:
    """One resource of a stack that exists."""

    stack: str
    type: str
    id: str
    kept: bool
    """Whether the template retains it."""


def destroy(deployment: Deployment, wait_for_endpoint: Callable[[], str]) -> None:
    """Destroy the stacks of the last deployment; Failed names what stands in the way, and then nothing is forgotten."""
    endpoint = wait_for_endpoint()
    cdk = Cdk(deployment, with_node(aws_environment(endpoint, deployment.state_dir)), endpoint)
    held: list[_Held] = []
    for _account, region in assembly.environments(deployment.assembly, REGION):

        def clients(service: str, region: str = region) -> Any:
            return cdk.client(service, region)

        held += _unprotect(clients, deployment.report)
    cdk.destroy()
    for resource in held:
        if resource.kept:
            deployment.report(f"{resource.stack}: retained {resource.type} {resource.id}")


def _unprotect(clients: Clients, report: Report) -> list[_Held]:
    """Lift what protects the stacks of a region and what is in them; return what is in them."""
    cloudformation = clients("cloudformation")
    found: list[_Held] = []
    for stack in cloudformation.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        if name == "CDKToolkit":
            continue
        if stack.get("EnableTerminationProtection"):
            cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
            report(f"{name}: termination protection lifted")
        for resource in _resources(cloudformation, name):
            found.append(resource)
            lift = _PROTECTED.get(resource.type)
            if lift and not resource.kept and (told := lift(clients, resource.id)):
                report(f"{name}: {told}")
    return found


def _resources(cloudformation: Any, stack: str) -> Iterator[_Held]:
    body = cloudformation.get_template(StackName=stack)["TemplateBody"]
    # boto3 reads JSON by itself; the CLI sends small templates as YAML.
    template: JsonObject = parse(body) if isinstance(body, str) else body
    for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]:
        declared = template["Resources"][resource["LogicalResourceId"]]
        yield _Held(
            stack=stack,
            type=resource["ResourceType"],
            id=resource["PhysicalResourceId"],
            kept=declared.get("DeletionPolicy") in {"Retain", "RetainExceptOnCreate"},
        )


def _database(noun: str, member: str, answer: str) -> Callable[[Clients, str], str | None]:
    """Return how deletion protection of a cluster or an instance is lifted; it says what it did, None for nothing."""

    def lift(clients: Clients, name: str) -> str | None:
        rds = clients("rds")
        found = getattr(rds, f"describe_{noun}s")(**{member: name})[answer][0]
        if not found.get("DeletionProtection"):
            return None
        getattr(rds, f"modify_{noun}")(**{member: name}, DeletionProtection=False, ApplyImmediately=True)
        return f"deletion protection of database {name} lifted"

    return lift


def _balancer(clients: Clients, arn: str) -> str | None:
    elbv2, key = clients("elbv2"), "deletion_protection.enabled"
    attributes = elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    if {"Key": key, "Value": "true"} not in attributes:
        return None
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": "false"}])
    return f"deletion protection of load balancer {arn.split('/')[-2]} lifted"


def _user_pool(clients: Clients, pool: str) -> str | None:
    cognito = clients("cognito-idp")
    if cognito.describe_user_pool(UserPoolId=pool)["UserPool"].get("DeletionProtection") != "ACTIVE":
        return None
    cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
    return f"deletion protection of user pool {pool} lifted"


def _bucket(clients: Clients, name: str) -> str | None:
    """Empty a bucket that is to go: S3 deletes none that holds anything."""
    s3, count = clients("s3"), 0
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
            count += 1
    return f"bucket {name} emptied of {count} object versions" if count else None


_PROTECTED: dict[str, Callable[[Clients, str], str | None]] = {
    "AWS::Cognito::UserPool": _user_pool,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _balancer,
    "AWS::RDS::DBCluster": _database("db_cluster", "DBClusterIdentifier", "DBClusters"),
    "AWS::RDS::DBInstance": _database("db_instance", "DBInstanceIdentifier", "DBInstances"),
    "AWS::S3::Bucket": _bucket,
}
