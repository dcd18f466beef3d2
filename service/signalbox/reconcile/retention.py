"""Deletes what is past its policy or has expired, bounded amounts a pass, and keeps the months of the audit trail."""

from __future__ import annotations

from signalbox.control import retention
from signalbox.control.hub import Hub
from signalbox.op import Op
from signalbox.settings import Settings

NAME = "retention"
FULL = 200
_RESULTS_FOR_A_RUN = 50
"""Cached results that cost about as much to delete as a run does."""


async def run(op: Op, hub: Hub, settings: Settings) -> int:
    """One pass; gives how much it deleted: runs, months, and cached results by the fifty. FULL: there may be more."""
    del hub
    dropped = await retention.keep_audit(op, keep=settings.audit_keep)
    results = await retention.delete_expired_results(op, limit=FULL * _RESULTS_FOR_A_RUN)
    return dropped + await retention.delete_expired(op, limit=FULL) + results // _RESULTS_FOR_A_RUN
