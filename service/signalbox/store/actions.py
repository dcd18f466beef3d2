"""Actions: their rows are changed only under the lock of their run (`store.runs.lock`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from psycopg.rows import class_row

from signalbox.ids import ActionKey, RunKey
from signalbox.rules.phases import Phase
from signalbox.store.db import Tx


class Kind(StrEnum):
    TASK = "task"
    TRACE = "trace"


class NewAction(NamedTuple):
    """A row to be; `phase` is QUEUED for a task, terminal for a trace."""

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
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output_uri: str = ""


async def insert(tx: Tx, actions: Sequence[NewAction], revisions: Sequence[int]) -> set[ActionKey]:
    """Insert with the given revisions; gives the keys that are new. A key that exists is left as it is."""
    plain = [field for field in NewAction._fields if field != "key"]
    cursor = await tx.execute(
        """
        INSERT INTO action (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest,
                            task_name, task_version, short_name, environment, input_uri, output_base, user_retries,
                            created_by, created_at, queued_at, revision, created_revision, phase, attempt,
                            started_at, ended_at, output_uri)
        SELECT n.org, n.project, n.domain, n.run, n.name, n.parent, n.kind, n.group_name, n.definition, n.spec_digest,
               n.task_name, n.task_version, n.short_name, n.environment, n.input_uri, n.output_base, n.user_retries,
               n.created_by, n.created_at, n.created_at, n.revision, n.revision, n.phase, 1, n.started_at,
               n.ended_at, n.output_uri
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[],
                      %(parent)s::text[], %(kind)s::text[], %(group_name)s::text[], %(definition)s::bytea[],
                      %(spec_digest)s::bytea[], %(task_name)s::text[], %(task_version)s::text[],
                      %(short_name)s::text[], %(environment)s::text[], %(input_uri)s::text[], %(output_base)s::text[],
                      %(user_retries)s::integer[], %(created_by)s::text[], %(created_at)s::timestamptz[],
                      %(revision)s::bigint[], %(phase)s::text[], %(started_at)s::timestamptz[],
                      %(ended_at)s::timestamptz[], %(output_uri)s::text[])
            AS n (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest, task_name,
                  task_version, short_name, environment, input_uri, output_base, user_retries, created_by, created_at,
                  revision, phase, started_at, ended_at, output_uri)
            ON CONFLICT ON CONSTRAINT action_pkey DO NOTHING
     RETURNING org, project, domain, run, name""",
        columns([a.key for a in actions])
        | {field: [getattr(a, field) for a in actions] for field in plain}
        | {"revision": list(revisions)},
    )
    return {ActionKey(*row) for row in await cursor.fetchall()}


async def existing(tx: Tx, keys: Sequence[ActionKey]) -> dict[ActionKey, Phase]:
    """Phase of each of the actions that exist."""
    cursor = await tx.execute(
        """
        SELECT a.org, a.project, a.domain, a.run, a.name, a.phase
          FROM action a
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name) USING (org, project, domain, run, name)""",
        columns(keys),
    )
    return {ActionKey(*row[:5]): Phase(row[5]) for row in await cursor.fetchall()}


@dataclass(frozen=True, kw_only=True)
class State:
    """All that decides what a change means for an action; `lease_*` are null for one that nobody holds."""

    org: str
    project: str
    domain: str
    run: str
    name: str
    parent: str
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
    work_epoch: int | None
    work_cluster: str | None

    def __post_init__(self) -> None:
        # The driver gives the column's text; rules compare members by identity.
        object.__setattr__(self, "phase", Phase(self.phase))

    @property
    def key(self) -> ActionKey:
        return ActionKey(self.org, self.project, self.domain, self.run, self.name)


async def states(tx: Tx, keys: Sequence[ActionKey]) -> dict[ActionKey, State]:
    """State of each of the actions that exist; call under `runs.lock`."""
    cursor = tx.cursor(row_factory=class_row(State))
    await cursor.execute(
        """
        SELECT a.org, a.project, a.domain, a.run, a.name, a.parent, a.phase, a.attempt, a.epoch, a.user_retries,
               a.user_failures, a.system_failures, a.cluster, a.output_base, a.started_at, a.abort_requested_at,
               a.abort_reason, w.epoch AS work_epoch, w.cluster AS work_cluster
          FROM action a
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(action)s::text[])
            AS k (org, project, domain, run, name) USING (org, project, domain, run, name)
          LEFT JOIN work w
            ON (w.org, w.project, w.domain, w.run, w.action) = (a.org, a.project, a.domain, a.run, a.name)""",
        columns(keys),
    )
    return {state.key: state for state in await cursor.fetchall()}


async def live_in(tx: Tx, run: RunKey) -> list[ActionKey]:
    """Actions of the run that are not over, by name; call under `runs.lock`."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, run, name FROM action
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
           AND phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
         ORDER BY name""",
        run._asdict(),
    )
    return [ActionKey(*row) for row in await cursor.fetchall()]


async def live_below(tx: Tx, parents: Sequence[ActionKey]) -> list[ActionKey]:
    """Descendants of the actions that are not over, without the actions themselves; call under `runs.lock`."""
    cursor = await tx.execute(
        """
        WITH RECURSIVE below (org, project, domain, run, name, phase) AS (
            SELECT a.org, a.project, a.domain, a.run, a.name, a.phase
              FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                          %(action)s::text[])
                AS p (org, project, domain, run, name)
              JOIN action a
                ON (a.org, a.project, a.domain, a.run, a.parent) = (p.org, p.project, p.domain, p.run, p.name)
             UNION
            SELECT a.org, a.project, a.domain, a.run, a.name, a.phase
              FROM below b
              JOIN action a
                ON (a.org, a.project, a.domain, a.run, a.parent) = (b.org, b.project, b.domain, b.run, b.name)
        )
        SELECT org, project, domain, run, name FROM below
         WHERE phase NOT IN ('succeeded', 'failed', 'aborted', 'timed_out', 'recovered')
         ORDER BY org, project, domain, run, name""",
        columns(parents),
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
               ended_at = NULL, output_uri = '', error = NULL, error_recoverable = false, log = NULL
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


def columns(keys: Sequence[ActionKey]) -> dict[str, list[object]]:
    """Action keys as arrays, one a column, for `unnest`."""
    return {field: [getattr(key, field) for key in keys] for field in ActionKey._fields}
