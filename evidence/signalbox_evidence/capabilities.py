"""What an emulator cannot hold, as it says itself: such attributes are neither passed nor failed there.

The list is a JSON array of objects with `service`, `attribute`, `reason`, and optionally `property` (the CloudFormation
path that sets the attribute) and `kind`. Entries of kind `patched` are answered by what the emulator's authors added:
they are judged, and say so. Entries of kind `unenforced` are stored truly and merely have no effect; the report's
header already says that of everything on an emulator, so they excuse nothing.
"""

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from signalbox_evidence.canonical import digest
from signalbox_evidence.errors import BadInput
from signalbox_evidence.finding import Finding, Outcome

_SERVICES = {"elasticloadbalancingv2": "elbv2", "applicationautoscaling": "application-autoscaling"}


class Limit(BaseModel):
    """One attribute that the emulator does not hold."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # an emulator may say more than is asked

    service: str
    attribute: str
    reason: str
    kind: str = "lost"
    property: str = ""

    def covers(self, attribute: str) -> bool:
        """Whether a finding's attribute (`AWS::RDS::DBInstance.AvailabilityZone`) is this one or a part of it."""
        if self.property:
            return attribute == self.property or attribute.startswith(f"{self.property}.")
        _, service, path = attribute.lower().split("::", 2)
        return _SERVICES.get(service, service) == self.service and path == self.attribute.lower()


class Capabilities:
    """The limits of the emulator that answers; none for AWS itself."""

    def __init__(self, limits: list[Limit], sha256: str | None = None) -> None:
        self.sha256 = sha256
        self._limits = [limit for limit in limits if limit.kind != "unenforced"]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BadInput when the file is not such a list."""
        try:
            content = path.read_bytes()
            return cls(TypeAdapter(list[Limit]).validate_python(json.loads(content)), digest(content))
        except OSError as error:
            raise BadInput(f"{path}: wanted a capability list, got: {error.strerror}") from error
        except (ValueError, ValidationError) as error:
            raise BadInput(f"{path}: wanted a JSON list of service, attribute and reason, got: {error}") from error

    def qualify(self, finding: Finding) -> Finding:
        """`finding`, with a word on who answered it, or the statement that this emulator could not have told."""
        for limit in self._limits:
            if limit.covers(finding.attribute):
                if limit.kind == "patched":
                    told = f"got {finding.actual}; answered by an addition to the emulator: {limit.reason}"
                    return finding.model_copy(update={"reason": finding.reason or told})
                reason = f"not verifiable on this emulator: {limit.reason}"
                return finding.model_copy(update={"actual": None, "outcome": Outcome.NOT_VERIFIABLE, "reason": reason})
        return finding


NO_LIMITS = Capabilities([])
