"""TaskSpecs by content: stored once an org, whoever names them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from signalbox.store.db import Tx


def digest(body: bytes) -> bytes:
    """SHA-256 of a serialized TaskSpec."""
    return hashlib.sha256(body).digest()


async def intern(tx: Tx, org: str, bodies: Mapping[bytes, bytes]) -> None:
    """Keep the TaskSpecs, by digest; those that are kept already stay as they are."""
    # In order of the digests: two transactions that insert the same ones must not wait for each other in a circle.
    ordered = sorted(bodies.items())
    await tx.execute(
        """
        INSERT INTO task_spec (org, digest, body)
        SELECT %(org)s, * FROM unnest(%(digest)s::bytea[], %(body)s::bytea[])
            ON CONFLICT ON CONSTRAINT task_spec_pkey DO NOTHING""",
        {"org": org, "digest": [d for d, _ in ordered], "body": [b for _, b in ordered]},
    )


async def bodies(tx: Tx, org: str, digests: Sequence[bytes]) -> dict[bytes, bytes]:
    """Serialized TaskSpecs by digest, for those that are known."""
    cursor = await tx.execute(
        "SELECT digest, body FROM task_spec WHERE org = %(org)s AND digest = ANY(%(digests)s)",
        {"org": org, "digests": list(digests)},
    )
    return {bytes(d): bytes(b) for d, b in await cursor.fetchall()}
