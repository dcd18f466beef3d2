"""Who may assume a role or use a resource, as narrow as the service allows.

aws-cdk-lib's stubs name some parameters of a class unlike those of its interface, so that pyright accepts no class
where the interface is wanted. Roles and principals are cast here, once.
"""

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from signalbox_constructs.findings import accept_of_frameworks


def service(name: str) -> iam.IPrincipal:
    """Return the AWS service `name`, on whoever's behalf: for statements that narrow it themselves."""
    return cast("iam.IPrincipal", iam.ServicePrincipal(name))


def anyone() -> iam.IPrincipal:
    """Return every principal: only for endpoint policies, which narrow what passes and grant nothing by themselves."""
    return cast("iam.IPrincipal", iam.AnyPrincipal())


def service_role(
    scope: Construct, construct_id: str, *, assumed_by: str, source: str, name: str | None = None
) -> iam.IRole:
    """Return a role that the AWS service `assumed_by` may take for its resources of this account and region only.

    `source` is the service's name in ARNs. Without these conditions the service could be led to lend the role to
    another account's resources (the confused deputy). `name` only where a command has to know it.
    """
    stack = cdk.Stack.of(scope)
    principal = iam.ServicePrincipal(
        assumed_by,
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:{source}:{stack.region}:{stack.account}:*"},
        },
    )
    role = iam.Role(scope, construct_id, role_name=name, assumed_by=cast("iam.IPrincipal", principal))
    accept_of_frameworks(
        role,
        "IAMNoInlinePolicy",
        reason="The policy is of this role only and goes with it; a managed one could be attached to others too.",
    )
    return cast("iam.IRole", role)
