"""Reports that need no decision, taken in one round trip; what is plain stands with the function, in `migrations/`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from signalbox.ids import ActionKey, ClusterKey
from signalbox.store.actions import columns
from signalbox.store.db import Tx
from signalbox.store.runs import columns as run_columns


class PlainReport(NamedTuple):
    """The attempt runs, or has succeeded with its outputs at `output_uri`."""

    key: ActionKey
    attempt: int
    epoch: int
    at: datetime
    started_at: datetime | None
    output_uri: str | None
    log: bytes | None


async def take(tx: Tx, cluster: ClusterKey, reports: Sequence[PlainReport]) -> list[int]:
    """Lock the runs and apply what is plain; places, from 1, of the reports that were taken, in order.

    Of the others nothing has happened. All actions are of the cluster's org, and each occurs once.
    """
    runs = run_columns(sorted({report.key.run_key for report in reports}))
    values = dict(zip(PlainReport._fields, map(list, zip(*reports, strict=True)), strict=True))
    cursor = await tx.execute(
        """
        SELECT report_plain(%(org)s, %(cluster)s, %(at_project)s, %(at_domain)s, %(at_run)s, %(project)s, %(domain)s,
                            %(run)s, %(action)s, %(attempt)s, %(epoch)s, %(at)s, %(started_at)s, %(output_uri)s,
                            %(log)s)""",
        values
        | columns([report.key for report in reports])
        | {f"at_{field}": values for field, values in runs.items()}
        | cluster._asdict(),
    )
    row = await cursor.fetchone()
    return [] if row is None else row[0]
