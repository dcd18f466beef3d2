"""Runs, and the lock that orders every change of their actions.

Whoever changes actions of a run calls `lock` first: it holds the run's row until commit, so that changes of one run
happen one after the other and take revisions that are gapless and in commit order. Runs are locked in key order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg import AsyncCursor
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import Jsonb

from signalbox.ids import RunKey
from signalbox.store.db import Tx


@dataclass(frozen=True, kw_only=True)
class NewRun:
    key: RunKey
    run_spec: bytes
    source: int
    labels: Mapping[str, str]
    start_time: datetime
    output_base: str
    created_by: str
    request_digest: bytes
    created_at: datetime
    queue: str = "default"
    max_actions: int = 0
    overwrite_cache: bool = False
    cache_global: bool = False
    recover_from: RunKey | None = None
    force_rerun: Sequence[str] = ()


async def insert(tx: Tx, run: NewRun) -> bool:
    """False when a run of this name exists."""
    cursor = await tx.execute(
        """
        INSERT INTO run (org, project, domain, name, run_spec, source, labels, start_time, output_base, created_by,
                         request_digest, created_at, queue, max_actions, overwrite_cache, cache_global,
                         recover_project, recover_domain, recover_run, force_rerun)
        VALUES (%(org)s, %(project)s, %(domain)s, %(run)s, %(run_spec)s, %(source)s, %(labels)s, %(start_time)s,
                %(output_base)s, %(created_by)s, %(request_digest)s, %(created_at)s, %(queue)s, %(max_actions)s,
                %(overwrite_cache)s, %(cache_global)s, %(recover_project)s, %(recover_domain)s, %(recover_run)s,
                %(force_rerun)s)
            ON CONFLICT ON CONSTRAINT run_pkey DO NOTHING
     RETURNING true""",
        run.key._asdict()
        | {
            "run_spec": run.run_spec,
            "source": run.source,
            "labels": Jsonb(dict(run.labels)),
            "start_time": run.start_time,
            "output_base": run.output_base,
            "created_by": run.created_by,
            "request_digest": run.request_digest,
            "created_at": run.created_at,
            "queue": run.queue,
            "max_actions": run.max_actions,
            "overwrite_cache": run.overwrite_cache,
            "cache_global": run.cache_global,
            "recover_project": run.recover_from and run.recover_from.project,
            "recover_domain": run.recover_from and run.recover_from.domain,
            "recover_run": run.recover_from and run.recover_from.run,
            "force_rerun": list(run.force_rerun),
        },
    )
    return await cursor.fetchone() is not None


async def request_digest(tx: Tx, key: RunKey) -> bytes | None:
    """Digest of the request that created the run; None when there is no such run."""
    cursor = await tx.execute(
        """
        SELECT request_digest FROM run
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


class Locked(NamedTuple):
    """What every action of a run inherits. `max_actions` 0: no limit."""

    revision: int
    abort_requested: bool
    queue: str
    max_actions: int
    overwrite_cache: bool
    cache_global: bool
    recovers: bool


async def lock(tx: Tx, keys: Iterable[RunKey]) -> dict[RunKey, Locked]:
    """Lock the runs until the end of the transaction; those that do not exist are missing from the answer."""
    return await fetch_locked(await send_lock(tx, keys))


async def send_lock(tx: Tx, keys: Iterable[RunKey]) -> AsyncCursor[TupleRow]:
    """Ask for the lock without waiting for the answer: what is sent behind it runs under the lock."""
    return await tx.execute(
        """
        SELECT r.org, r.project, r.domain, r.name, r.revision, r.abort_requested_at IS NOT NULL, r.queue, r.max_actions,
               r.overwrite_cache, r.cache_global, r.recover_run IS NOT NULL
          FROM run r
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[])
            AS k (org, project, domain, name) USING (org, project, domain, name)
         ORDER BY r.org, r.project, r.domain, r.name
           FOR NO KEY UPDATE OF r""",
        columns(sorted(set(keys))),
    )


async def fetch_locked(cursor: AsyncCursor[TupleRow]) -> dict[RunKey, Locked]:
    return {RunKey(*row[:4]): Locked(*row[4:]) for row in await cursor.fetchall()}


async def exists(tx: Tx, key: RunKey) -> bool:
    cursor = await tx.execute(
        """
        SELECT true FROM run
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s""",
        key._asdict(),
    )
    return await cursor.fetchone() is not None


async def end(tx: Tx, ends: Mapping[RunKey, str]) -> None:
    """The roots of these runs are over, with these phases; call only under `lock`."""
    keys = list(ends)
    await tx.execute(
        """
        UPDATE run r SET outcome = k.outcome, ended_at = clock_timestamp()
          FROM unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[], %(outcome)s::text[])
            AS k (org, project, domain, name, outcome)
         WHERE (r.org, r.project, r.domain, r.name) = (k.org, k.project, k.domain, k.name)""",
        columns(keys) | {"outcome": [str(ends[key]) for key in keys]},
    )


async def request_abort(tx: Tx, key: RunKey, *, at: datetime) -> None:
    """Nothing of this run may be enqueued any more; call only under `lock`."""
    await tx.execute(
        """
        UPDATE run SET abort_requested_at = coalesce(abort_requested_at, %(at)s)
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s""",
        key._asdict() | {"at": at},
    )


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every action of a run shares when it is dispatched."""

    org: str
    project: str
    domain: str
    name: str
    run_spec: bytes
    start_time: datetime


async def contexts(tx: Tx, keys: Iterable[RunKey]) -> dict[RunKey, Context]:
    cursor = tx.cursor(row_factory=class_row(Context))
    await cursor.execute(
        """
        SELECT r.org, r.project, r.domain, r.name, r.run_spec, r.start_time
          FROM run r
          JOIN unnest(%(org)s::text[], %(project)s::text[], %(domain)s::text[], %(run)s::text[])
            AS k (org, project, domain, name) USING (org, project, domain, name)""",
        columns(sorted(set(keys))),
    )
    return {RunKey(c.org, c.project, c.domain, c.name): c for c in await cursor.fetchall()}


def columns(keys: Iterable[RunKey]) -> dict[str, list[str]]:
    """Run keys as arrays, one a column, for `unnest`."""
    listed = list(keys)
    return {field: [getattr(key, field) for key in listed] for field in RunKey._fields}
