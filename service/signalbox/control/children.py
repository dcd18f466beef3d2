"""A parent's watch over its children: a snapshot, a mark that it is complete, then what changes.

Each child is announced once when it is first seen and once when it is over, and not in between: the SDK logs a warning
for each message without an output, but takes a child for started only once it has seen one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from time import monotonic

from signalbox.control.hub import Hub, ended_topic, run_topic
from signalbox.control.silence import Silence
from signalbox.errors import NotFound
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL
from signalbox.rules.roles import Permission
from signalbox.store import children
from signalbox.store.children import Child

_NO_HURRY = 0.05
"""Seconds for which a parent need not hear that a child was begun: often it is over by then, and a message is saved."""


async def watch(op: Op, hub: Hub, parent: ActionKey, *, progress_every: timedelta) -> AsyncIterator[Sequence[Child]]:
    """Batches of children to be told of; an empty batch marks the end of the snapshot, and later that all is well."""
    op.require(Permission.RUN_READ)
    announced: set[str] = set()
    ended = ended_topic(parent.run_key)
    with hub.subscribe(run_topic(parent.run_key), ended) as subscription:
        async with op.db.autocommit() as tx:
            look = await children.snapshot(tx, parent)
        if look is None:
            raise NotFound(f"action {parent}: not found")
        revision = look.revision
        if fresh := _news(look.children, announced):
            yield fresh
        del look, fresh  # a parent of thousands waits for long
        yield ()
        silence = Silence(progress_every)
        while True:
            woken = await subscription.changed(within=silence.left)
            until = monotonic() + _NO_HURRY
            while woken and ended not in subscription.woken and monotonic() < until:
                await subscription.changed(within=timedelta(seconds=until - monotonic()))
            async with op.db.autocommit() as tx:
                look = await children.changed(tx, parent, after=revision)
            if look is None:
                raise NotFound(f"run {parent.run_key}: not found")
            revision = look.revision
            fresh = _news(look.children, announced)
            if fresh or silence.is_due:
                yield fresh
                silence.broken()
            del look, fresh


def _news(seen: Sequence[Child], announced: set[str]) -> list[Child]:
    """Of the children that changed, those to tell; keeps in `announced` who is known and not over."""
    news: list[Child] = []
    for child in seen:
        if child.phase in TERMINAL:
            announced.discard(child.name)
            news.append(child)
        elif child.name not in announced:
            announced.add(child.name)
            news.append(child)
    return news
