"""Deletes what is past its policy, a bounded number of runs a pass, and keeps the months of the audit trail."""

from __future__ import annotations

from signalbox.control import retention
from signalbox.control.hub import Hub
from signalbox.op import Op
from signalbox.settings import Settings

NAME = "retention"
_BATCH = 200


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass; gives how many runs and months it deleted. What is left over is the next pass's."""
    del hub
    dropped = await retention.keep_audit(op, keep=settings.audit_keep)
    return dropped + await retention.delete_expired(op, limit=_BATCH)


def every(settings: Settings) -> float:
    """Seconds between two passes."""
    return settings.retention_every.total_seconds()
