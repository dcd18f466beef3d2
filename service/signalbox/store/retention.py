"""What is kept for how long, what is held, and the deletion of runs and of months of the audit trail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, NamedTuple

from signalbox.ids import RunKey
from signalbox.store.db import Tx

_MONTH = re.compile(r"audit_(\d{4})_(\d{2})\Z")


class Policy(NamedTuple):
    """`project` empty: every project of the org without one of its own. `outcome`: a terminal phase, or `any`."""

    org: str
    project: str
    outcome: str
    keep: timedelta


async def put(tx: Tx, policy: Policy) -> None:
    await tx.execute(
        """
        INSERT INTO retention_policy (org, project, outcome, keep)
        VALUES (%(org)s, %(project)s, %(outcome)s, %(keep)s)
            ON CONFLICT ON CONSTRAINT retention_policy_pkey DO UPDATE SET keep = excluded.keep""",
        policy._asdict(),
    )


async def remove(tx: Tx, org: str, project: str, outcome: str) -> bool:
    """Whether there was such a policy."""
    cursor = await tx.execute(
        """
        DELETE FROM retention_policy WHERE org = %(org)s AND project = %(project)s AND outcome = %(outcome)s
     RETURNING true""",
        {"org": org, "project": project, "outcome": outcome},
    )
    return await cursor.fetchone() is not None


async def of_org(tx: Tx, org: str) -> list[Policy]:
    """By project and outcome."""
    cursor = await tx.execute(
        "SELECT org, project, outcome, keep FROM retention_policy WHERE org = %(org)s ORDER BY project, outcome",
        {"org": org},
    )
    return [Policy(*row) for row in await cursor.fetchall()]


class Hold(NamedTuple):
    """`domain` and `run` empty: the project as a whole."""

    org: str
    project: str
    domain: str
    run: str
    reason: str
    placed_by: str


async def hold(tx: Tx, new: Hold) -> None:
    """Hold a run or a project; holding it again changes the reason."""
    await tx.execute(
        """
        INSERT INTO legal_hold (org, project, domain, run, reason, placed_by)
        VALUES (%(org)s, %(project)s, %(domain)s, %(run)s, %(reason)s, %(placed_by)s)
            ON CONFLICT ON CONSTRAINT legal_hold_pkey
            DO UPDATE SET reason = excluded.reason, placed_by = excluded.placed_by, placed_at = clock_timestamp()""",
        new._asdict(),
    )


async def release(tx: Tx, org: str, project: str, domain: str, run: str) -> bool:
    """Whether it was held."""
    cursor = await tx.execute(
        """
        DELETE FROM legal_hold
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s RETURNING true""",
        {"org": org, "project": project, "domain": domain, "run": run},
    )
    return await cursor.fetchone() is not None


async def holds(tx: Tx, org: str) -> list[Hold]:
    """By project, domain and run."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, run, reason, placed_by FROM legal_hold WHERE org = %(org)s
         ORDER BY project, domain, run""",
        {"org": org},
    )
    return [Hold(*row) for row in await cursor.fetchall()]


class Expired(NamedTuple):
    """A run past its policy."""

    key: RunKey
    outcome: str
    ended_at: datetime
    policy: Policy


async def expired(tx: Tx, org: str | None, *, limit: int) -> list[Expired]:
    """Up to `limit` ended runs past their policy that nothing holds, the longest ended first; `org` None: of all."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, name, outcome, ended_at, of_project, of_outcome, keep FROM expired_run
         WHERE (%(org)s::text IS NULL OR org = %(org)s)
         ORDER BY ended_at LIMIT %(limit)s""",
        {"org": org, "limit": limit},
    )
    return [_expired(row) for row in await cursor.fetchall()]


async def still_expired(tx: Tx, key: RunKey) -> Expired | None:
    """The run, if it is still one of `expired`; ask under `go_on_deleting` and the run's lock."""
    cursor = await tx.execute(
        """
        SELECT org, project, domain, name, outcome, ended_at, of_project, of_outcome, keep FROM expired_run
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s LIMIT 1""",
        key._asdict(),
    )
    row = await cursor.fetchone()
    return _expired(row) if row is not None else None


def _expired(row: tuple[Any, ...]) -> Expired:
    return Expired(RunKey(*row[:4]), row[4], row[5], Policy(row[0], *row[6:]))


async def go_on_deleting(tx: Tx, org: str) -> None:
    """Until commit, nobody places a hold or changes a policy of the org."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('retention/' || %(org)s, 0))", {"org": org})


async def stop_deleting(tx: Tx, org: str) -> None:
    """Wait for the deletions of the org's runs that are under way; until commit, no other begins.

    A hold of a whole project has no row that a deletion locks too, and a run may not be deleted after it was
    acknowledged. The deletion of a large run takes its time: a person waits longer for that than a request may.
    """
    await tx.execute("SET LOCAL lock_timeout = '60s'")
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('retention/' || %(org)s, 0))", {"org": org})


# By the tables' own addresses: nobody else changes rows of a run whose lock is held.
_PARTS_OF_A_RUN: tuple[LiteralString, ...] = (
    """
      WITH gone AS (
            DELETE FROM cluster_event WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM cluster_event
                    WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                    LIMIT %(limit)s)) RETURNING 1)
    SELECT count(*) FROM gone""",
    """
      WITH gone AS (
            DELETE FROM attempt WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM attempt
                    WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                    LIMIT %(limit)s)) RETURNING 1)
    SELECT count(*) FROM gone""",
    """
      WITH gone AS (
            DELETE FROM event WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM event
                    WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                    LIMIT %(limit)s)) RETURNING 1)
    SELECT count(*) FROM gone""",
    """
      WITH gone AS (
            DELETE FROM outbox WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM outbox
                    WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                    LIMIT %(limit)s)) RETURNING 1)
    SELECT count(*) FROM gone""",
    """
      WITH gone AS (
            DELETE FROM action WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM action
                    WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s
                    LIMIT %(limit)s)) RETURNING 1)
    SELECT count(*) FROM gone""",
)
_AT_ONCE = 10_000


async def delete_run(tx: Tx, key: RunKey) -> None:
    """Delete all that is known of a run that is over; call under `runs.lock`. Its cached results stay: others may use
    them.

    In statements of up to 10,000 rows: none takes long enough to be taken for stuck.
    """
    for part in _PARTS_OF_A_RUN:
        gone = _AT_ONCE
        while gone == _AT_ONCE:
            cursor = await tx.execute(part, key._asdict() | {"limit": _AT_ONCE})
            row = await cursor.fetchone()
            gone = row[0] if row else 0
    await tx.execute(
        "DELETE FROM run WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s",
        key._asdict(),
    )


async def delete_expired_results(tx: Tx, *, limit: int) -> int:
    """Delete up to `limit` cached results that nobody is given any more; those being written anew are left alone."""
    cursor = await tx.execute(
        """
          WITH over AS MATERIALIZED (
                SELECT org, scope, key FROM cache_entry WHERE expires_at <= clock_timestamp()
                 ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
               gone AS (
                DELETE FROM cache_entry e USING over o
                 WHERE (e.org, e.scope, e.key) = (o.org, o.scope, o.key) RETURNING 1)
        SELECT count(*) FROM gone""",
        {"limit": limit},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def lock_audit_months(tx: Tx) -> None:
    """One process at a time makes and drops months."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit_months', 0))")


async def make_audit_months(tx: Tx, months: Sequence[datetime]) -> None:
    """A partition for each of these months (their first moments, UTC); those that there are stay."""
    await tx.execute(
        "SELECT make_audit_month(first) FROM unnest(%(months)s::timestamptz[]) AS first", {"months": months}
    )


async def drop_audit_months(tx: Tx, *, before: datetime) -> list[str]:
    """Drop the months that ended before this moment; gives their names."""
    cursor = await tx.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit'::regclass")
    dropped: list[str] = []
    for (name,) in await cursor.fetchall():
        if found := _MONTH.match(name):
            first = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
            if (first + timedelta(days=32)).replace(day=1) <= before:
                await tx.execute("SELECT drop_audit_month(%(first)s)", {"first": first})
                dropped.append(name)
    return sorted(dropped)
