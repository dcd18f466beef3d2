"""Results by key, and who is computing one. URIs only: no payload is ever kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from signalbox.store.db import Tx


class CacheKey(NamedTuple):
    """`scope`: project/domain, or empty for the org as a whole."""

    org: str
    scope: str
    key: str


class Entry(NamedTuple):
    output_uri: str
    source: str
    created_at: datetime
    updated_at: datetime
    age: timedelta

    def serves(self, max_age: timedelta | None) -> bool:
        """Whether the result is young enough for a task that takes none older than this."""
        return max_age is None or self.age <= max_age


async def look(tx: Tx, keys: Sequence[CacheKey]) -> dict[CacheKey, Entry]:
    """The entries that there are and that have not expired."""
    cursor = await tx.execute(
        """
        SELECT e.org, e.scope, e.key, e.output_uri, e.source, e.created_at, e.updated_at,
               clock_timestamp() - e.updated_at
          FROM cache_entry e
          JOIN unnest(%(org)s::text[], %(scope)s::text[], %(key)s::text[]) AS k (org, scope, key)
         USING (org, scope, key)
         WHERE e.expires_at IS NULL OR e.expires_at > clock_timestamp()""",
        _columns(keys),
    )
    return {CacheKey(*row[:3]): Entry(*row[3:]) for row in await cursor.fetchall()}


class NewEntry(NamedTuple):
    """`max_age` None: it never expires. `overwrite`: also an entry that is there and has not expired."""

    key: CacheKey
    output_uri: str
    source: str
    max_age: timedelta | None
    overwrite: bool


async def put(tx: Tx, entries: Sequence[NewEntry]) -> set[CacheKey]:
    """Keep the results; gives the keys that were written. The keys differ."""
    ordered = sorted(entries)  # two transactions that write the same ones must not wait for each other in a circle
    plain = ("output_uri", "source", "max_age", "overwrite")
    cursor = await tx.execute(
        """
        INSERT INTO cache_entry AS e (org, scope, key, output_uri, source, expires_at)
        SELECT n.org, n.scope, n.key, n.output_uri, n.source, clock_timestamp() + n.max_age
          FROM unnest(%(org)s::text[], %(scope)s::text[], %(key)s::text[], %(output_uri)s::text[], %(source)s::text[],
                      %(max_age)s::interval[])
            AS n (org, scope, key, output_uri, source, max_age)
            ON CONFLICT ON CONSTRAINT cache_entry_pkey DO UPDATE
           SET output_uri = excluded.output_uri, source = excluded.source, expires_at = excluded.expires_at,
               updated_at = clock_timestamp()
         WHERE e.expires_at <= clock_timestamp()
            OR (excluded.org, excluded.scope, excluded.key) IN (
               SELECT * FROM unnest(%(over_org)s::text[], %(over_scope)s::text[], %(over_key)s::text[]))
     RETURNING e.org, e.scope, e.key""",
        _columns([e.key for e in ordered])
        | {field: [getattr(e, field) for e in ordered] for field in plain}
        | {f"over_{name}": value for name, value in _columns([e.key for e in ordered if e.overwrite]).items()},
    )
    return {CacheKey(*row) for row in await cursor.fetchall()}


async def delete(tx: Tx, key: CacheKey) -> bool:
    """Whether there was an entry."""
    cursor = await tx.execute(
        "DELETE FROM cache_entry WHERE org = %(org)s AND scope = %(scope)s AND key = %(key)s RETURNING true",
        key._asdict(),
    )
    return await cursor.fetchone() is not None


class Reservation(NamedTuple):
    owner: str
    heartbeat: timedelta | None
    expires_at: datetime | None


async def reserve(tx: Tx, wanted: Sequence[tuple[CacheKey, str]]) -> set[CacheKey]:
    """Reserve each key for its owner, for as long as it is not released; gives the keys that the owners now hold."""
    ordered = sorted(wanted)
    cursor = await tx.execute(
        """
        INSERT INTO cache_reservation AS r (org, scope, key, owner, expires_at)
        SELECT n.org, n.scope, n.key, n.owner, 'infinity'
          FROM unnest(%(org)s::text[], %(scope)s::text[], %(key)s::text[], %(owner)s::text[])
            AS n (org, scope, key, owner)
            ON CONFLICT ON CONSTRAINT cache_reservation_pkey DO UPDATE
           SET owner = excluded.owner, heartbeat = NULL, expires_at = excluded.expires_at
         WHERE r.expires_at <= clock_timestamp() OR r.owner = excluded.owner
     RETURNING r.org, r.scope, r.key""",
        _columns([key for key, _ in ordered]) | {"owner": [owner for _, owner in ordered]},
    )
    return {CacheKey(*row) for row in await cursor.fetchall()}


async def get_or_extend(tx: Tx, key: CacheKey, *, owner: str, heartbeat: timedelta, life: timedelta) -> Reservation:
    """The reservation in force: the caller's own, extended by `life`, or that of somebody else."""
    cursor = await tx.execute(
        """
        INSERT INTO cache_reservation AS r (org, scope, key, owner, heartbeat, expires_at)
        VALUES (%(org)s, %(scope)s, %(key)s, %(owner)s, %(heartbeat)s, clock_timestamp() + %(life)s)
            ON CONFLICT ON CONSTRAINT cache_reservation_pkey DO UPDATE
           SET owner = CASE WHEN r.expires_at <= clock_timestamp() OR r.owner = excluded.owner THEN excluded.owner
                            ELSE r.owner END,
               heartbeat = CASE WHEN r.expires_at <= clock_timestamp() OR r.owner = excluded.owner
                                THEN excluded.heartbeat ELSE r.heartbeat END,
               expires_at = CASE WHEN r.expires_at <= clock_timestamp() OR r.owner = excluded.owner
                                 THEN excluded.expires_at ELSE r.expires_at END
     RETURNING r.owner, r.heartbeat, CASE WHEN r.expires_at < 'infinity' THEN r.expires_at END""",
        key._asdict() | {"owner": owner, "heartbeat": heartbeat, "life": life},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # both branches return their row
    return Reservation(*row)


async def release(tx: Tx, org: str, owners: Sequence[str]) -> None:
    """End all reservations of the owners, locked in key order like those that `reserve` asks for."""
    await tx.execute(
        """
          WITH held AS MATERIALIZED (
                SELECT org, scope, key FROM cache_reservation
                 WHERE org = %(org)s AND owner = ANY(%(owners)s::text[])
                 ORDER BY scope, key FOR UPDATE)
        DELETE FROM cache_reservation r USING held h WHERE (r.org, r.scope, r.key) = (h.org, h.scope, h.key)""",
        {"org": org, "owners": list(owners)},
    )


async def release_one(tx: Tx, key: CacheKey, *, owner: str) -> None:
    """End the owner's reservation of the key; that of somebody else stays."""
    await tx.execute(
        """
        DELETE FROM cache_reservation
         WHERE org = %(org)s AND scope = %(scope)s AND key = %(key)s AND owner = %(owner)s""",
        key._asdict() | {"owner": owner},
    )


async def wake(tx: Tx, keys: Sequence[CacheKey]) -> None:
    """Actions that wait for these results are looked at now; whoever changes one at the moment has it looked at anew.

    To wait for such a change could be to wait in a circle: it may itself wait for a reservation.
    """
    await tx.execute(
        """
          WITH waiting AS (
                SELECT w.org, w.project, w.domain, w.run, w.action
                  FROM work w
                  JOIN unnest(%(org)s::text[], %(scope)s::text[], %(key)s::text[]) AS k (org, scope, key)
                    ON (k.org, k.scope, k.key) = (w.org, w.cache_scope, w.cache_key)
                 WHERE w.owner = 'cache' FOR NO KEY UPDATE OF w SKIP LOCKED)
        UPDATE work w SET next_check = clock_timestamp() FROM waiting k
         WHERE (w.org, w.project, w.domain, w.run, w.action) = (k.org, k.project, k.domain, k.run, k.action)""",
        _columns(keys),
    )


def _columns(keys: Sequence[CacheKey]) -> dict[str, list[str]]:
    return {field: [getattr(key, field) for key in keys] for field in CacheKey._fields}
