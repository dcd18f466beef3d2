"""The register of accepted changes to guarded resources: locks/accepted.yaml.

An entry accepts one new state of one resource, not whatever may happen to it later: `becomes` is the digest of that
state, `absent`, or the protection that was given up, e.g. `DeletionPolicy=Delete`.
"""

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalbox_guards.errors import BadInput

_HEAD = "# Accepted changes to guarded resources; written by `signalbox-guards lock write --accept`.\n"


class Acceptance(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    logical_id: str
    becomes: str
    reason: str = Field(min_length=10)
    accepted_on: date


class Acceptances(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: tuple[Acceptance, ...] = ()

    def reason(self, address: str, becomes: str) -> str | None:
        """Why that change of "stack/LogicalId" is accepted; None when it is not."""
        for entry in self.accepted:
            if (f"{entry.stack}/{entry.logical_id}", entry.becomes) == (address, becomes):
                return f"{entry.reason} ({entry.accepted_on})"
        return None

    def with_entry(self, address: str, becomes: str, reason: str, on: date) -> "Acceptances":
        if self.reason(address, becomes):
            return self
        stack, _, logical_id = address.partition("/")
        try:
            entry = Acceptance(stack=stack, logical_id=logical_id, becomes=becomes, reason=reason, accepted_on=on)
        except ValidationError as error:
            raise BadInput(f"--reason: wanted at least 10 characters that say why, got {reason!r}") from error
        return Acceptances(accepted=(*self.accepted, entry))


def read_acceptances(path: Path) -> Acceptances:
    """The register at `path`, empty when there is no such file; raises BadInput."""
    if not path.exists():
        return Acceptances()
    try:
        return Acceptances.model_validate(yaml.safe_load(path.read_text()) or {})
    except (ValidationError, yaml.YAMLError) as error:
        raise BadInput(f"{path}: wanted a register of accepted changes, got: {error}") from error


def write_acceptances(path: Path, register: Acceptances) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEAD + yaml.safe_dump(register.model_dump(mode="json"), sort_keys=False, width=120))
