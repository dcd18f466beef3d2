"""What is kept for how long, what is held, and the deletion of runs and of months of the audit trail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg import sql

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
        SELECT r.org, r.project, r.domain, r.name, r.outcome, r.ended_at, p.org, p.project, p.outcome, p.keep
          FROM retention_policy p
          JOIN run r ON r.org = p.org AND r.ended_at < clock_timestamp() - p.keep
           AND (p.project = '' OR r.project = p.project) AND (p.outcome = 'any' OR r.outcome = p.outcome)
         WHERE (%(org)s::text IS NULL OR p.org = %(org)s)
           AND NOT EXISTS (
               SELECT 1 FROM retention_policy s
                WHERE s.org = r.org AND s.project IN ('', r.project) AND s.outcome IN ('any', r.outcome)
                  AND (s.project <> '', s.outcome <> 'any') > (p.project <> '', p.outcome <> 'any'))
           AND NOT EXISTS (
               SELECT 1 FROM legal_hold h
                WHERE h.org = r.org AND h.project = r.project
                  AND (h.run = '' OR (h.domain, h.run) = (r.domain, r.name)))
           AND NOT EXISTS (
               SELECT 1 FROM work w
                WHERE (w.org, w.project, w.domain, w.run) = (r.org, r.project, r.domain, r.name))
         ORDER BY r.ended_at LIMIT %(limit)s""",
        {"org": org, "limit": limit},
    )
    return [Expired(RunKey(*row[:4]), row[4], row[5], Policy(*row[6:])) for row in await cursor.fetchall()]


async def is_held(tx: Tx, key: RunKey) -> bool:
    """Locks nothing: ask under the run's lock."""
    cursor = await tx.execute(
        """
        SELECT true FROM legal_hold
         WHERE org = %(org)s AND project = %(project)s
           AND (run = '' OR (domain, run) = (%(domain)s, %(run)s)) LIMIT 1""",
        key._asdict(),
    )
    return await cursor.fetchone() is not None


async def delete_run(tx: Tx, key: RunKey) -> None:
    """Delete all that is known of a run; call under `runs.lock`. Its cached results stay: others may use them."""
    await tx.execute(
        """
        DELETE FROM event
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s""",
        key._asdict(),
    )
    await tx.execute(
        """
        DELETE FROM outbox
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND run = %(run)s""",
        key._asdict(),
    )
    # Cascades to actions, attempts and events of clusters.
    await tx.execute(
        "DELETE FROM run WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(run)s",
        key._asdict(),
    )


async def make_audit_months(tx: Tx, months: Sequence[datetime]) -> None:
    """A partition for each of these months (their first moments, UTC); those that there are stay."""
    for first in months:
        name = f"audit_{first:%Y_%m}"
        following = (first + timedelta(days=32)).replace(day=1)
        cursor = await tx.execute("SELECT to_regclass(%(name)s) IS NULL", {"name": name})
        if await cursor.fetchone() == (True,):
            await tx.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF audit FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(name), sql.Literal(first), sql.Literal(following)
                )
            )


async def drop_audit_months(tx: Tx, *, before: datetime) -> list[str]:
    """Drop the months that ended before this moment; gives their names."""
    cursor = await tx.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit'::regclass")
    dropped: list[str] = []
    for (name,) in await cursor.fetchall():
        if found := _MONTH.match(name):
            first = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
            if (first + timedelta(days=32)).replace(day=1) <= before:
                await tx.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                dropped.append(name)
    return sorted(dropped)
