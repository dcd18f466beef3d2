"""One entry of the list."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "absent", "invented", "patched"]
"""lost: moto takes it and does not answer it. absent: moto has no such resource. invented: moto answers what nobody set
or did. patched: our change."""


@dataclass(frozen=True, kw_only=True)
class Capability:
    """One attribute that a service's API answers in AWS, named as boto3 does: Resource.member."""

    service: str
    attribute: str
    kind: Kind
    reason: str
    property: str = ""
    """The CloudFormation path that sets it, "" when none does; the engine lets it be lost. [] stands for every item."""
