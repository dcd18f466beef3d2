"""Actions: their rows are changed only under the lock of their run (`store.runs.lock`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Cause, Owner, Timers
from signalbox.store.db import Tx


class Kind(StrEnum):
    TASK = "task"
    TRACE = "trace"
    CONDITION = "condition"


async def send_phases(tx: Tx, keys: Sequence[ActionKey]) -> AsyncCursor[TupleRow]:
    """Ask for those of the actions that exist, without waiting for the answer."""
    return await tx.execute(
        """
        SELECT a.org, a.project, a.domain, a.run, a.name, a.phase, a.abort_requested_at IS NOT NULL,
               coalesce(w.is_parent, false)
          FROM action a
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name) USING (org, project, domain, run, name)
          LEFT JOIN work w
            ON (w.org, w.project, w.domain, w.run, w.action) = (a.org, a.project, a.domain, a.run, a.name)""",
        columns(keys),
    )


class Known(NamedTuple):
    """What an enqueue must know of an action that exists."""

    phase: Phase
    abort_requested: bool
    is_parent: bool


async def fetch_phases(cursor: AsyncCursor[TupleRow]) -> dict[ActionKey, Known]:
    return {ActionKey(*row[:5]): Known(Phase(row[5]), *row[6:]) for row in await cursor.fetchall()}


class Backoff(NamedTuple):
    base: timedelta
    factor: float | None
    cap: timedelta | None


class Live(NamedTuple):
    """The action's row in `work`: what an action that is not over has besides. `cluster` is set while it is held."""

    owner: Owner
    epoch: int
    cluster: str | None
    is_parent: bool
    timers: Timers
    backoff: Backoff | None
    cache_max_age: timedelta | None
    has_slot: bool

    @property
    def is_timed(self) -> bool:
        """Whether a bound depends on the phase."""
        return self.timers.queued_timeout is not None or self.timers.run_timeout is not None


class State(NamedTuple):
    """All that decides what a change means for an action; `live` is None for one that is over."""

    key: ActionKey
    parent: str
    kind: Kind
    phase: Phase
    attempt: int
    epoch: int
    user_retries: int
    user_failures: int
    system_failures: int
    cluster: str
    output_base: str
    started_at: datetime | None
    abort_requested_at: datetime | None
    abort_reason: str
    timeout_cause: Cause
    cache_scope: str
    cache_key: str
    cache_status: CacheStatus
    live: Live | None

    @property
    def held_by(self) -> str | None:
        """The cluster whose lease is in force."""
        return self.live.cluster if self.live else None

    @property
    def is_slotless(self) -> bool:
        """Whether it would count in a limit of its run and has no slot. Parents do not count, but for the root."""
        live = self.live
        return live is not None and not live.has_slot and (not live.is_parent or self.key.action == ROOT_ACTION)


async def states(tx: Tx, keys: Sequence[ActionKey]) -> dict[ActionKey, State]:
    """State of each of the actions that exist; call under `runs.lock`."""
    return await fetch_states(await send_states(tx, keys))


async def send_states(tx: Tx, keys: Sequence[ActionKey]) -> AsyncCursor[TupleRow]:
    """Ask for the states without waiting for the answer."""
    return await tx.execute(
        """
        SELECT a.org, a.project, a.domain, a.run, a.name, a.parent, a.kind, a.phase, a.attempt, a.epoch,
               a.user_retries, a.user_failures, a.system_failures, a.cluster, a.output_base, a.started_at,
               a.abort_requested_at, a.abort_reason, a.timeout_cause, a.cache_scope, a.cache_key, a.cache_status,
               w.owner, w.epoch, w.cluster, w.is_parent, w.since, w.queued_timeout, w.run_timeout, w.deadline,
               w.backoff_base, w.backoff_factor, w.backoff_cap, w.cache_max_age, w.has_slot
          FROM action a
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name) USING (org, project, domain, run, name)
          LEFT JOIN work w
            ON (w.org, w.project, w.domain, w.run, w.action) = (a.org, a.project, a.domain, a.run, a.name)""",
        columns(keys),
    )


async def fetch_states(cursor: AsyncCursor[TupleRow]) -> dict[ActionKey, State]:
    return {state.key: state for state in map(_state, await cursor.fetchall())}


def _state(row: TupleRow) -> State:
    owner, epoch, cluster, is_parent = row[22:26]
    live = None
    if owner is not None:
        backoff = None if row[30] is None else Backoff(*row[30:33])
        live = Live(Owner(owner), epoch, cluster, is_parent, Timers(*row[26:30]), backoff, *row[33:35])
    return State(
        key=ActionKey(*row[:5]),
        parent=row[5],
        kind=Kind(row[6]),
        phase=Phase(row[7]),
        attempt=row[8],
        epoch=row[9],
        user_retries=row[10],
        user_failures=row[11],
        system_failures=row[12],
        cluster=row[13],
        output_base=row[14],
        started_at=row[15],
        abort_requested_at=row[16],
        abort_reason=row[17],
        timeout_cause=Cause(row[18]),
        cache_scope=row[19],
        cache_key=row[20],
        cache_status=CacheStatus(row[21]),
        live=live,
    )


async def live_below(tx: Tx, parents: Sequence[ActionKey], *, limit: int) -> list[ActionKey]:
    """Up to `limit` descendants of the actions that are not over and that nobody has asked to end.

    Call under `runs.lock`.
    """
    cursor = await tx.execute(
        """
        WITH RECURSIVE below (org, project, domain, run, name, phase, is_asked) AS (
            SELECT a.org, a.project, a.domain, a.run, a.name, a.phase, a.abort_requested_at IS NOT NULL
              FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                          %(action)s::text[])
                AS p (org, project, domain, run, name)
              JOIN action a
                ON (a.org, a.project, a.domain, a.run, a.parent) = (p.org, p.project, p.domain, p.run, p.name)
               AND a.parent >= ''
             UNION
            SELECT a.org, a.project, a.domain, a.run, a.name, a.phase, a.abort_requested_at IS NOT NULL
              FROM below b
              JOIN action a
                ON (a.org, a.project, a.domain, a.run, a.parent) = (b.org, b.project, b.domain, b.run, b.name)
               AND a.parent >= ''
        )
        SELECT org, project, domain, run, name FROM below
         WHERE phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered') AND NOT is_asked
         ORDER BY org, project, domain, run, name LIMIT %(limit)s""",
        columns(parents) | {"limit": limit},
    )
    return [ActionKey(*row) for row in await cursor.fetchall()]


class Change(NamedTuple):
    """New values of an action's row; nulls leave `cluster`, `output_uri`, `error`, `log` and the times as they are."""

    key: ActionKey
    revision: int
    phase: Phase
    epoch: int
    cluster: str | None
    started_at: datetime | None
    ended_at: datetime | None
    output_uri: str | None
    error: bytes | None
    error_recoverable: bool
    log: bytes | None


async def change(tx: Tx, changes: Sequence[Change]) -> None:
    """Apply accepted reports; call under `runs.lock`."""
    plain = [field for field in Change._fields if field != "key"]
    await tx.execute(
        """
        UPDATE action a
           SET revision = c.revision, phase = c.phase, epoch = c.epoch, cluster = coalesce(c.cluster, a.cluster),
               started_at = coalesce(c.started_at, a.started_at), ended_at = coalesce(c.ended_at, a.ended_at),
               output_uri = coalesce(c.output_uri, a.output_uri), error = coalesce(c.error, a.error),
               error_recoverable = c.error_recoverable, log = coalesce(c.log, a.log)
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(revision)s::bigint[], %(phase)s::text[], %(epoch)s::bigint[], %(cluster)s::text[],
                      %(started_at)s::timestamptz[], %(ended_at)s::timestamptz[], %(output_uri)s::text[],
                      %(error)s::bytea[], %(error_recoverable)s::boolean[], %(log)s::bytea[])
            AS c (org, project, domain, run, name, revision, phase, epoch, cluster, started_at, ended_at, output_uri,
                  error, error_recoverable, log)
         WHERE (a.org, a.project, a.domain, a.run, a.name) = (c.org, c.project, c.domain, c.run, c.name)""",
        columns([c.key for c in changes]) | {field: [getattr(c, field) for c in changes] for field in plain},
    )


class Retry(NamedTuple):
    """A further attempt: the row starts over, its past goes to `attempt`."""

    key: ActionKey
    revision: int
    attempt: int
    user_failures: int
    system_failures: int
    queued_at: datetime


async def retry(tx: Tx, retries: Sequence[Retry]) -> None:
    """Keep the current attempts as past ones and queue the next; call under `runs.lock`."""
    keys = columns([r.key for r in retries])
    await tx.execute(
        """
        INSERT INTO attempt (org, project, domain, run, action, attempt, epoch, phase, cluster, queued_at, started_at,
                             ended_at, output_uri, error, error_recoverable, log)
        SELECT a.org, a.project, a.domain, a.run, a.name, a.attempt, a.epoch, a.phase, a.cluster, a.queued_at,
               a.started_at, coalesce(a.ended_at, clock_timestamp()), a.output_uri, a.error, a.error_recoverable, a.log
          FROM action a
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name) USING (org, project, domain, run, name)""",
        keys,
    )
    plain = [field for field in Retry._fields if field != "key"]
    await tx.execute(
        """
        UPDATE action a
           SET revision = r.revision, phase = 'queued', attempt = r.attempt, user_failures = r.user_failures,
               system_failures = r.system_failures, queued_at = r.queued_at, cluster = '', started_at = NULL,
               ended_at = NULL, output_uri = '', error = NULL, error_recoverable = false, log = NULL,
               timeout_cause = ''
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(revision)s::bigint[], %(attempt)s::integer[], %(user_failures)s::integer[],
                      %(system_failures)s::integer[], %(queued_at)s::timestamptz[])
            AS r (org, project, domain, run, name, revision, attempt, user_failures, system_failures, queued_at)
         WHERE (a.org, a.project, a.domain, a.run, a.name) = (r.org, r.project, r.domain, r.run, r.name)""",
        keys | {field: [getattr(r, field) for r in retries] for field in plain},
    )


async def request_abort(tx: Tx, keys: Sequence[ActionKey], *, reason: str, by: str, at: datetime) -> None:
    """Record the wish; the first one stands. Call under `runs.lock`."""
    await tx.execute(
        """
        UPDATE action a SET abort_requested_at = %(at)s, abort_reason = %(reason)s, aborted_by = %(by)s
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name)
         WHERE (a.org, a.project, a.domain, a.run, a.name) = (k.org, k.project, k.domain, k.run, k.name)
           AND a.abort_requested_at IS NULL""",
        columns(keys) | {"reason": reason, "by": by, "at": at},
    )


async def request_timeout(tx: Tx, keys: Sequence[ActionKey], causes: Sequence[Cause]) -> None:
    """Record which bound the current attempts have met; their clusters have yet to stop them."""
    await tx.execute(
        """
        UPDATE action a SET timeout_cause = k.cause
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(cause)s::text[])
            AS k (org, project, domain, run, name, cause)
         WHERE (a.org, a.project, a.domain, a.run, a.name) = (k.org, k.project, k.domain, k.run, k.name)""",
        columns(keys) | {"cause": list(causes)},
    )


async def set_cache_status(tx: Tx, keys: Sequence[ActionKey], status: CacheStatus) -> None:
    await tx.execute(
        """
        UPDATE action a SET cache_status = %(status)s
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name)
         WHERE (a.org, a.project, a.domain, a.run, a.name) = (k.org, k.project, k.domain, k.run, k.name)""",
        columns(keys) | {"status": status},
    )


async def signal(tx: Tx, key: ActionKey, *, value: bytes, by: str) -> None:
    """Keep what a condition was signalled with; call under `runs.lock`."""
    await tx.execute(
        """
        UPDATE action SET value = %(value)s, signalled_by = %(by)s
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s""",
        key._asdict() | {"value": value, "by": by},
    )


async def definition(tx: Tx, key: ActionKey) -> bytes | None:
    """The action's own definition, as it was enqueued; None when there is no such action."""
    cursor = await tx.execute(
        """
        SELECT definition FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND name = %(action)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


class Result(NamedTuple):
    """An earlier result that a new action may take over. `source`: project/domain/run."""

    output_uri: str
    source: str


async def recoverable(tx: Tx, keys: Sequence[ActionKey]) -> dict[ActionKey, Result]:
    """Results of the actions of the same names in the runs that these keys' runs recover from, transitively.

    The nearest run that has the action decides: only what succeeded there counts. A name that a run on the way forces
    to run again is looked for no further.
    """
    cursor = await tx.execute(
        """
          WITH RECURSIVE source (org, project, domain, run, depth, name, from_project, from_domain, from_run) AS (
                SELECT k.org, k.project, k.domain, k.run, 1, k.name, r.recover_project, r.recover_domain, r.recover_run
                  FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                              %(action)s::text[])
                    AS k (org, project, domain, run, name)
                  JOIN run r ON (r.org, r.project, r.domain, r.name) = (k.org, k.project, k.domain, k.run)
                 WHERE r.recover_run IS NOT NULL AND k.name <> ALL(r.force_rerun)
                 UNION ALL
                SELECT s.org, s.project, s.domain, s.run, s.depth + 1, s.name, r.recover_project, r.recover_domain,
                       r.recover_run
                  FROM source s
                  JOIN run r ON (r.org, r.project, r.domain, r.name)
                              = (s.org, s.from_project, s.from_domain, s.from_run)
                 WHERE r.recover_run IS NOT NULL AND s.name <> ALL(r.force_rerun) AND s.depth < 100),
               nearest AS (
                SELECT DISTINCT ON (s.org, s.project, s.domain, s.run, s.name)
                       s.org, s.project, s.domain, s.run, s.name, a.phase, a.output_uri, a.recovered_from,
                       concat_ws('/', s.from_project, s.from_domain, s.from_run) AS source
                  FROM source s
                  JOIN action a ON (a.org, a.project, a.domain, a.run, a.name)
                                 = (s.org, s.from_project, s.from_domain, s.from_run, s.name)
                 WHERE a.kind = 'task'
                 ORDER BY s.org, s.project, s.domain, s.run, s.name, s.depth)
        SELECT org, project, domain, run, name, output_uri,
               CASE phase WHEN 'recovered' THEN recovered_from ELSE source END
          FROM nearest WHERE phase IN ('succeeded', 'recovered')""",
        columns(keys),
    )
    return {ActionKey(*row[:5]): Result(row[5], row[6]) for row in await cursor.fetchall()}


def columns(keys: Sequence[ActionKey]) -> dict[str, list[object]]:
    """Action keys as arrays, one a column, for `unnest`."""
    return {field: [getattr(key, field) for key in keys] for field in ActionKey._fields}
