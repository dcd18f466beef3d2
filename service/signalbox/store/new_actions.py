"""New actions: their row, first event, work and audit row, written by one statement under the lock of their run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from signalbox.ids import ActionKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.rules.timers import Owner
from signalbox.store.actions import Kind, columns
from signalbox.store.db import Tx, compact

_INSERT = compact(
    """
          WITH n AS MATERIALIZED (
                SELECT *
                  FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[],
                              %(action)s::text[], %(revision)s::bigint[], %(parent)s::text[], %(kind)s::text[],
                              %(group_name)s::text[], %(definition)s::bytea[], %(spec_digest)s::bytea[],
                              %(task_name)s::text[], %(task_version)s::text[], %(short_name)s::text[],
                              %(environment)s::text[], %(input_uri)s::text[], %(output_base)s::text[],
                              %(user_retries)s::integer[], %(created_by)s::text[], %(created_at)s::timestamptz[],
                              %(phase)s::text[], %(owner)s::text[], %(request_id)s::text[],
                              %(started_at)s::timestamptz[], %(ended_at)s::timestamptz[], %(output_uri)s::text[],
                              %(queue)s::text[], %(cache_scope)s::text[], %(cache_key)s::text[],
                              %(cache_status)s::text[], %(recovered_from)s::text[], %(queued_timeout)s::interval[],
                              %(run_timeout)s::interval[], %(deadline_after)s::interval[],
                              %(backoff_base)s::interval[], %(backoff_factor)s::double precision[],
                              %(backoff_cap)s::interval[], %(cache_max_age)s::interval[])
                    AS n (org, project, domain, run, name, revision, parent, kind, group_name, definition, spec_digest,
                          task_name, task_version, short_name, environment, input_uri, output_base, user_retries,
                          created_by, created_at, phase, owner, request_id, started_at, ended_at, output_uri, queue,
                          cache_scope, cache_key, cache_status, recovered_from, queued_timeout, run_timeout,
                          deadline_after, backoff_base, backoff_factor, backoff_cap, cache_max_age)),
               a AS (
                INSERT INTO action (org, project, domain, run, name, parent, kind, group_name, definition, spec_digest,
                                    task_name, task_version, short_name, environment, input_uri, output_base,
                                    user_retries, created_by, created_at, queued_at, revision, created_revision, phase,
                                    attempt, started_at, ended_at, output_uri, queue, cache_scope, cache_key,
                                    cache_status, recovered_from)
                SELECT org, project, domain, run, name, parent, kind, group_name, definition, spec_digest, task_name,
                       task_version, short_name, environment, input_uri, output_base, user_retries, created_by,
                       created_at, created_at, revision, revision, phase, 1, started_at, ended_at, output_uri, queue,
                       cache_scope, cache_key, cache_status, recovered_from
                  FROM n ORDER BY revision),
               e AS (
                INSERT INTO event (org, project, domain, run, revision, action, parent, kind, phase, attempt, epoch,
                                   cluster, occurred_at)
                SELECT org, project, domain, run, revision, name, parent, 'phase', phase, 1, 0, '',
                       coalesce(ended_at, created_at)
                  FROM n ORDER BY revision),
               w AS (
                INSERT INTO work (org, project, domain, run, action, attempt, owner, queue, is_root, queued_timeout,
                                  run_timeout, deadline, backoff_base, backoff_factor, backoff_cap, cache_max_age,
                                  cache_scope, cache_key, next_check)
                SELECT org, project, domain, run, name, 1, owner, queue, parent = '', queued_timeout, run_timeout,
                       clock_timestamp() + deadline_after, backoff_base, backoff_factor, backoff_cap, cache_max_age,
                       cache_scope, nullif(cache_key, ''),
                       clock_timestamp() + least(CASE owner WHEN 'cache' THEN interval '5 seconds'
                                                            ELSE interval '1 hour' END, queued_timeout, deadline_after)
                  FROM n WHERE owner IS NOT NULL ORDER BY revision),
               l AS (
                INSERT INTO audit (org, principal, operation, resource, request_id, outcome)
                SELECT org, created_by, 'action.enqueue', concat_ws('/', org, project, domain, run, name), request_id,
                       'done'
                  FROM n WHERE parent <> '')
        UPDATE run r SET revision = k.revision
          FROM (SELECT org, project, domain, run, max(revision) AS revision FROM n GROUP BY org, project, domain, run)
            AS k
         WHERE (r.org, r.project, r.domain, r.name) = (k.org, k.project, k.domain, k.run)"""
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

    def over(self, phase: Phase, *, output_uri: str) -> NewAction:
        """The same, answered at once."""
        return self._replace(
            phase=phase, owner=None, output_uri=output_uri, started_at=self.created_at, ended_at=self.created_at
        )


async def insert(tx: Tx, actions: Sequence[NewAction], revisions: Sequence[int]) -> None:
    """Insert actions of locked runs, none of which exists, with the revisions that they take in the given order.

    The root's own audit row is the run's; every other action gets one.
    """
    values = dict(zip(NewAction._fields, map(list, zip(*actions, strict=True)), strict=True))
    await tx.execute(_INSERT, values | columns([a.key for a in actions]) | {"revision": list(revisions)})
