"""The table of types itself: one lookup by CloudFormation type name."""

from signalbox_emulator.types import (
    compute,
    database,
    dns,
    edge,
    encryption,
    identity,
    network,
    observing,
    security_groups,
    storage,
)
from signalbox_emulator.types.kind import Kind

_ROWS = (
    *network.KINDS,
    *security_groups.KINDS,
    *encryption.KINDS,
    *identity.KINDS,
    *observing.KINDS,
    *storage.KINDS,
    *database.KINDS,
    *compute.KINDS,
    *edge.KINDS,
    *dns.KINDS,
)

TABLE: dict[str, Kind] = {kind.type: kind for kind in _ROWS}
"""CloudFormation type -> how it is carried out."""
