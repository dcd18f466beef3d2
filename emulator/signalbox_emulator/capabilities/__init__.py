"""What this emulator cannot show, by name.

The evidence reads this list and says `not verifiable here` for what stands in it. A test asks moto about every entry,
so an entry that a newer moto makes untrue fails there.
"""

from signalbox_emulator.capabilities.entry import Capability
from signalbox_emulator.capabilities.lost import LOST
from signalbox_emulator.capabilities.others import ABSENT, INVENTED, PATCHED

__all__ = ["CAPABILITIES", "Capability", "excuses"]

CAPABILITIES = (*LOST, *ABSENT, *INVENTED, *PATCHED)


def excuses(type_name: str, path: str) -> bool:
    """Return whether the list says that moto loses `path`, such as DeploymentConfiguration.Alarms, of a type."""
    full = f"{type_name}.{path}"
    return any(
        entry.kind in {"lost", "absent"}
        and entry.property
        and (full == entry.property or full.startswith(f"{entry.property}."))
        for entry in CAPABILITIES
    )
