"""A watch of what clusters tell of one attempt: all that they told so far, then what comes, until it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from signalbox.control.hub import Hub, run_topic
from signalbox.control.silence import Silence
from signalbox.errors import NotFound
from signalbox.ids import ActionKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL
from signalbox.rules.roles import Permission
from signalbox.store import actions, cluster_events
from signalbox.store.cluster_events import ClusterEvent

_PAGE = 500


async def watch(
    op: Op, hub: Hub, key: ActionKey, attempt: int, *, progress_every: timedelta
) -> AsyncIterator[Sequence[ClusterEvent]]:
    """Events of the attempt in order of arrival; empty when nothing came. Ends behind the attempt's last one.

    Raises NotFound for the action and for an attempt that was not begun yet.
    """
    op.require(Permission.RUN_READ)
    after = 0
    silence: Silence | None = None
    with hub.subscribe(run_topic(key.run_key)) as subscription:
        while True:
            async with op.db.snapshot() as tx:
                state = (await actions.states(tx, [key])).get(key)
                told = await cluster_events.of_action(tx, key, after=after, limit=_PAGE)
            if state is None:
                raise NotFound(f"action {key}: not found")
            if attempt > state.attempt:
                raise NotFound(f"action {key}: has no attempt {attempt}, its newest is {state.attempt}")
            news = [event for event in told if event.attempt == attempt]
            if news or silence is None or silence.is_due:
                yield news
                silence = Silence(progress_every)
            if told:
                after = told[-1].id
            if len(told) == _PAGE:
                continue
            if state.attempt > attempt or state.phase in TERMINAL:
                return
            await subscription.changed(within=silence.left)
