"""Queues, as an operator configures them, and why an action waits in one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from signalbox.errors import NotFound
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules import placement
from signalbox.rules.roles import Permission
from signalbox.store import audit
from signalbox.store import placement as facts
from signalbox.store import queues as rows
from signalbox.store.queues import Queue


async def configure(op: Op, queue: Queue) -> None:
    """Set the queue's limits, whatever they were; what it holds beyond a lower limit goes on."""
    op.require(Permission.QUEUE_WRITE)
    async with op.transaction() as tx:
        await rows.put(tx, queue)
        await audit.append(
            tx, audit.Entry(queue.org, str(op.who), "queue.configure", f"{queue.org}/{queue.name}", op.request_id)
        )


async def of_org(op: Op, org: str) -> Sequence[Queue]:
    """By name; a queue that nobody configured is not among them."""
    op.require(Permission.QUEUE_READ)
    async with op.db.autocommit() as tx:
        return await rows.of_org(tx, org)


async def why(op: Op, key: ActionKey, *, ttl: timedelta) -> str:
    """The one reason, in words, why the action does not run now, or what it does. Raises NotFound."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        situation = await facts.situation(tx, key, ttl=ttl)
    if situation is None:
        raise NotFound(f"action {key}: not found")
    return placement.reason(situation)
