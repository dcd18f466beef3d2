"""What this emulator cannot show, by name: moto does not keep it, or answers it by a patch of ours.

The evidence reads this list and says `not verifiable here` for what stands in it. A test asks moto for every entry, so an
entry that a newer moto makes untrue fails there.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Capability:
    """One attribute of a service's API. `property` is the CloudFormation path that sets it, "" when none does."""

    service: str
    attribute: str
    reason: str
    kind: Literal["lost", "patched", "unenforced"]
    property: str = ""


CAPABILITIES: tuple[Capability, ...] = ()


def excuses(type_name: str, path: str) -> bool:
    """Return whether the list says that moto loses `path`, such as DeploymentConfiguration.Alarms, of a type."""
    full = f"{type_name}.{path}"
    return any(
        entry.kind == "lost" and entry.property and (full == entry.property or full.startswith(f"{entry.property}."))
        for entry in CAPABILITIES
    )
