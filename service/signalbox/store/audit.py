"""Who did what to which thing, with what outcome: one row a mutation, in the mutation's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from signalbox.store.db import Tx


class Entry(NamedTuple):
    """`resource` is a key joined by slashes; never a payload, never a secret. `outcome`: done or denied."""

    org: str
    principal: str
    operation: str
    resource: str
    request_id: str
    outcome: str = "done"


async def append(tx: Tx, *entries: Entry) -> None:
    await append_all(tx, entries)


async def append_all(tx: Tx, entries: Sequence[Entry]) -> None:
    await tx.execute(
        """
        INSERT INTO audit (org, principal, operation, resource, request_id, outcome)
        SELECT * FROM unnest(%(org)s::text[], %(principal)s::text[], %(operation)s::text[], %(resource)s::text[],
                             %(request_id)s::text[], %(outcome)s::text[])""",
        {field: [getattr(e, field) for e in entries] for field in Entry._fields},
    )
