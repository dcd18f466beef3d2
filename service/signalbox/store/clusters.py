"""Registered clusters: their sessions, credentials and join tokens. Tokens are kept as SHA-256 and never readable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from signalbox.ids import ClusterKey
from signalbox.store.db import Tx


def token_hash(token: str) -> bytes:
    """SHA-256: the tokens carry 256 random bits, so that stretching would only slow the product down."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Facts:
    dataproxy_endpoint: str
    storage_prefix: str
    agent_version: str


async def insert_join_token(tx: Tx, cluster: ClusterKey, *, token: str, by: str, life: timedelta) -> datetime:
    """A token that enrols `cluster` once; gives its expiry."""
    cursor = await tx.execute(
        """
        INSERT INTO join_token (org, token_hash, cluster, created_by, expires_at)
        VALUES (%(org)s, %(hash)s, %(cluster)s, %(by)s, clock_timestamp() + %(life)s)
     RETURNING expires_at""",
        cluster._asdict() | {"hash": token_hash(token), "by": by, "life": life},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # an INSERT without a condition returns its row
    return row[0]


async def use_join_token(tx: Tx, token: str) -> ClusterKey | None:
    """The cluster that the token enrols, and the token is spent; None when unknown, expired or used."""
    cursor = await tx.execute(
        """
        UPDATE join_token SET used_at = clock_timestamp()
         WHERE token_hash = %(hash)s AND used_at IS NULL AND expires_at > clock_timestamp()
     RETURNING org, cluster""",
        {"hash": token_hash(token)},
    )
    row = await cursor.fetchone()
    return None if row is None else ClusterKey(*row)


async def enrol(tx: Tx, cluster: ClusterKey, facts: Facts) -> None:
    """Register the cluster, or renew what is known of it; credentials that it had are void."""
    await tx.execute(
        """
        INSERT INTO cluster (org, name, dataproxy_endpoint, storage_prefix, agent_version)
        VALUES (%(org)s, %(cluster)s, %(dataproxy_endpoint)s, %(storage_prefix)s, %(agent_version)s)
            ON CONFLICT ON CONSTRAINT cluster_pkey DO UPDATE
           SET dataproxy_endpoint = excluded.dataproxy_endpoint, storage_prefix = excluded.storage_prefix,
               agent_version = excluded.agent_version""",
        cluster._asdict() | vars(facts),
    )
    await tx.execute("DELETE FROM cluster_credential WHERE org = %(org)s AND cluster = %(cluster)s", cluster._asdict())


async def insert_credential(tx: Tx, cluster: ClusterKey, *, token: str, life: timedelta) -> datetime:
    """A further credential; gives its expiry. Expired ones of the cluster go."""
    await tx.execute(
        """
        DELETE FROM cluster_credential
         WHERE org = %(org)s AND cluster = %(cluster)s AND expires_at < clock_timestamp()""",
        cluster._asdict(),
    )
    cursor = await tx.execute(
        """
        INSERT INTO cluster_credential (org, cluster, token_hash, expires_at)
        VALUES (%(org)s, %(cluster)s, %(hash)s, clock_timestamp() + %(life)s)
     RETURNING expires_at""",
        cluster._asdict() | {"hash": token_hash(token), "life": life},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # an INSERT without a condition returns its row
    return row[0]


async def by_credential(tx: Tx, token: str) -> ClusterKey | None:
    """Whose credential this is; None when unknown or expired."""
    cursor = await tx.execute(
        """
        SELECT org, cluster FROM cluster_credential
         WHERE token_hash = %(hash)s AND expires_at > clock_timestamp()""",
        {"hash": token_hash(token)},
    )
    row = await cursor.fetchone()
    return None if row is None else ClusterKey(*row)


async def begin_stream(tx: Tx, cluster: ClusterKey, *, session: str, capacity: int, facts: Facts) -> int:
    """Number of the new lease stream; only it may claim from now on. Waits for claims of the one before."""
    cursor = await tx.execute(
        """
        UPDATE cluster
           SET session = %(session)s, stream = stream + 1, capacity = %(capacity)s,
               dataproxy_endpoint = %(dataproxy_endpoint)s, storage_prefix = %(storage_prefix)s,
               agent_version = %(agent_version)s, last_seen_at = clock_timestamp()
         WHERE org = %(org)s AND name = %(cluster)s
     RETURNING stream""",
        cluster._asdict() | vars(facts) | {"session": session, "capacity": capacity},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # its credential refers to the cluster's row
    return row[0]


async def touch(tx: Tx, cluster: ClusterKey, *, session: str) -> bool:
    """The cluster was heard of. False when the session is not its newest.

    Written at most once a second: a busy cluster reports far more often, and each write is a commit.
    """
    cursor = await tx.execute(
        """
          WITH heard AS (
                UPDATE cluster SET last_seen_at = clock_timestamp()
                 WHERE org = %(org)s AND name = %(cluster)s AND session = %(session)s
                   AND last_seen_at < clock_timestamp() - interval '1 second')
        SELECT true FROM cluster WHERE org = %(org)s AND name = %(cluster)s AND session = %(session)s""",
        cluster._asdict() | {"session": session},
    )
    return await cursor.fetchone() is not None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    org: str
    name: str
    dataproxy_endpoint: str
    storage_prefix: str
    agent_version: str
    capacity: int
    last_seen_at: datetime
    healthy: bool


async def of_org(tx: Tx, org: str, *, ttl: timedelta) -> list[Cluster]:
    """Clusters of the org, healthy ones first, then by name. Healthy: heard of within `ttl` (database's clock)."""
    cursor = tx.cursor(row_factory=class_row(Cluster))
    await cursor.execute(
        """
        SELECT org, name, dataproxy_endpoint, storage_prefix, agent_version, capacity, last_seen_at,
               session <> '' AND last_seen_at >= clock_timestamp() - %(ttl)s AS healthy
          FROM cluster WHERE org = %(org)s
         ORDER BY healthy DESC, name""",
        {"org": org, "ttl": ttl},
    )
    return await cursor.fetchall()
