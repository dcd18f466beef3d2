"""New actions: their row, first event, work and audit row, written by one function under the lock of their run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple

from signalbox.ids import ActionKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store.actions import Kind, columns
from signalbox.store.db import Tx
from signalbox.store.runs import columns as run_columns

_COLUMNS: LiteralString = """
    %(org)s, %(project)s, %(domain)s, %(run)s, %(action)s, %(parent)s, %(kind)s, %(group_name)s, %(definition)s,
    %(spec_digest)s, %(task_name)s, %(task_version)s, %(short_name)s, %(environment)s, %(input_uri)s, %(output_base)s,
    %(user_retries)s, %(created_by)s, %(created_at)s, %(phase)s, %(owner)s, %(request_id)s, %(started_at)s,
    %(ended_at)s, %(output_uri)s, %(queue)s, %(cache_scope)s, %(cache_key)s, %(cache_status)s, %(recovered_from)s,
    %(queued_timeout)s, %(run_timeout)s, %(deadline_after)s, %(backoff_base)s, %(backoff_factor)s, %(backoff_cap)s,
    %(cache_max_age)s"""
_INSERT: LiteralString = "SELECT insert_actions(" + _COLUMNS + ")"
_ENQUEUE_PLAIN: LiteralString = (
    """
    SELECT enqueue_plain(
        %(at_org)s, %(at_project)s, %(at_domain)s, %(at_run)s,
        %(above_org)s, %(above_project)s, %(above_domain)s, %(above_run)s, %(above_action)s,"""
    + _COLUMNS
    + ")"
)


class NewAction(NamedTuple):
    """A row to be. `owner` None: it is over already (a trace, a cached or a recovered result) and needs no work.

    Timeouts count from now on; None is no bound. `backoff_base` None: retries wait for nothing.
    """

    key: ActionKey
    parent: str
    kind: Kind
    group_name: str
    definition: bytes
    spec_digest: bytes | None
    task_name: str
    task_version: str
    short_name: str
    environment: str
    input_uri: str
    output_base: str
    user_retries: int
    created_by: str
    created_at: datetime
    phase: Phase
    owner: Owner | None
    request_id: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output_uri: str = ""
    queue: str = "default"
    cache_scope: str = ""
    cache_key: str = ""
    cache_status: CacheStatus = CacheStatus.DISABLED
    recovered_from: str = ""
    queued_timeout: timedelta | None = None
    run_timeout: timedelta | None = None
    deadline_after: timedelta | None = None
    backoff_base: timedelta | None = None
    backoff_factor: float | None = None
    backoff_cap: timedelta | None = None
    cache_max_age: timedelta | None = None
    is_serialized: bool = False
    """Of the actions with its cache key, one at a time is to run."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a task that needs nothing looked up: no cached result, no queue of its own."""
        return self.kind is Kind.TASK and not self.cache_key and self.queue in ("", "default")

    def over(self, phase: Phase, *, output_uri: str) -> NewAction:
        """The same, answered at once."""
        return self._replace(
            phase=phase, owner=None, output_uri=output_uri, started_at=self.created_at, ended_at=self.created_at
        )


async def insert(tx: Tx, actions: Sequence[NewAction]) -> None:
    """Insert actions of locked runs, none of which exists, with the revisions that follow their runs' in this order.

    The root's own audit row is the run's; every other action gets one.
    """
    await tx.execute(_INSERT, _columns(actions))


async def enqueue_plain(tx: Tx, actions: Sequence[NewAction]) -> bool:
    """Lock the runs and insert the actions, in one round trip; False, and nothing happened, when one is not plain.

    Plain are uncached tasks with interned specs, each once, that the tables say nothing special of: what is asked there
    stands with the function, in `migrations/`. `queue` empty: its run's.
    """
    runs = sorted({action.key.run_key for action in actions})
    above = sorted({action.key._replace(action=action.parent) for action in actions})
    at = {f"at_{field}": values for field, values in run_columns(runs).items()}
    parents = {f"above_{field}": values for field, values in columns(above).items()}
    cursor = await tx.execute(_ENQUEUE_PLAIN, _columns(actions) | at | parents)
    return await cursor.fetchone() == (True,)


def _columns(actions: Sequence[NewAction]) -> dict[str, list[object]]:
    values = dict(zip(NewAction._fields, map(list, zip(*actions, strict=True)), strict=True))
    return values | columns([a.key for a in actions])
