"""Accepted findings: each names one rule, one construct and a reason that a reviewer can check."""

import aws_cdk as cdk
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
