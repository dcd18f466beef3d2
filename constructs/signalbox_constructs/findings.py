"""Accepted cdk-nag findings: each names one rule of AwsSolutions, one construct and a reason that a reviewer can check."""

import aws_cdk as cdk
from constructs import IConstruct


def accept(construct: IConstruct, rule: str, *, reason: str) -> None:
    """Acknowledge the AwsSolutions finding `rule` (such as "EC23") on `construct` and what is below it, nowhere else.

    The qualified id is what makes cdk-nag list the finding with its reason in `cdk.out/validation-report.json`;
    a bare id would hide it.
    """
    qualified = f"AwsSolutions::AwsSolutions-{rule}"
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=qualified, reason=reason))
