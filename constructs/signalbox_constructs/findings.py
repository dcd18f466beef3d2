"""Accepted findings: each names one rule, one construct and a reason that a reviewer can check."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

_FRAMEWORKS = ("NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
"""The packs of cdk-nag that share the names of their rules."""


def accept(construct: IConstruct, finding: str, *, reason: str) -> None:
    """Acknowledge `finding` on `construct` and what is below it, nowhere else.

    `finding` is the id that synthesis prints after "Acknowledge with", such as "AwsSolutions::AwsSolutions-EC23". With
    its prefix, cdk-nag lists the finding and the reason in `cdk.out/validation-report.json`; without, it would hide it.
    """
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))


def accept_of_frameworks(construct: IConstruct, rule: str, *, reason: str) -> None:
    """Acknowledge `rule`, such as "IAMNoInlinePolicy", in each pack of a framework; a pack without it ignores that."""
    for pack in _FRAMEWORKS:
        accept(construct, f"{pack}::{pack}-{rule}", reason=reason)


def objects_of(bucket: s3.IBucket, prefix: str = "") -> str:
    """Return cdk-nag's finding of a policy that names the objects below `prefix` of a bucket of the same stack."""
    inside = bucket.node.default_child
    if not isinstance(inside, cdk.CfnElement):
        raise TypeError(f"bucket {bucket.node.path}: wanted a resource of this app, got {inside!r}")
    name = cdk.Stack.of(bucket).get_logical_id(inside)
    return f"AwsSolutions::AwsSolutions-IAM5[Resource::<{name}.Arn>/{prefix}*]"
