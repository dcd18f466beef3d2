"""Who waits for what: wakes watchers when a topic changed, here and in the other processes.

A wake-up is never content, only a reason to look again. Watchers also look by themselves every few seconds, so that a
lost hint costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Self

from signalbox.ids import ClusterKey, RunKey, ScopeKey
from signalbox.log import logger
from signalbox.store.connection import Password
from signalbox.store.notify import CONNECTION_LOST, Channel

_log = logger("control")
_NONE: frozenset[str] = frozenset()
_PACE = 0.01
"""Seconds between two hints of a process to the others: each costs every process a wake-up. The first goes at once."""


def run_topic(run: RunKey) -> str:
    """Something changed in the run."""
    return f"run/{run}"


def ended_topic(run: RunKey) -> str:
    """An action of the run is over."""
    return f"ended/{run}"


def scope_topic(scope: ScopeKey) -> str:
    """A run began or ended in the project and domain."""
    return f"scope/{scope}"


def work_topic(org: str) -> str:
    """Work waits for a cluster."""
    return f"work/{org}"


def cluster_topic(cluster: ClusterKey) -> str:
    """The cluster must be told something, or lost its session."""
    return f"cluster/{cluster}"


def room_topic(cluster: ClusterKey) -> str:
    """Something that the cluster held has ended: it has room for more."""
    return f"room/{cluster}"


def freed_topic(org: str) -> str:
    """Something that a cluster held has ended: a limited queue may have a place."""
    return f"freed/{org}"


class StreamOver(Exception):  # not an error: the stream ends cleanly and its client comes again
    """The stream has lived long enough, or the process is about to stop."""


class Subscription:
    """Level-triggered: however many wake-ups came since the last look, there is one more look.

    Thousands of watches wait for nothing most of the time: each is kept small.
    """

    __slots__ = ("_hub", "_until", "_waiter", "_waking", "topics", "woken")

    def __init__(self, hub: Hub, *, until: float) -> None:
        self._hub = hub
        self._until = until
        self._waiter: asyncio.Future[None] | None = None
        self.topics: list[str] = []
        self.woken: AbstractSet[str] = _NONE
        """Topics that changed before the last look; all of them when nobody can say."""
        self._waking: set[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.remove(self)

    def wake(self, topic: str) -> None:
        self._waking = self._waking or set()
        self._waking.add(topic)
        if self._waiter is not None:
            _release(self._waiter)

    def also(self, topic: str) -> bool:
        """Wait for this topic too, from now on. True when that is new: then look again before waiting."""
        return self._hub.add(self, topic)

    async def changed(self, *, within: timedelta) -> bool:
        """Wait for a wake-up for at most `within`; False when none came. Raises StreamOver."""
        loop = asyncio.get_running_loop()
        if self._waking is None:
            self._waiter = loop.create_future()
            timer = loop.call_later(within.total_seconds(), _release, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if self._hub.draining or loop.time() > self._until:
            raise StreamOver
        self.woken, self._waking = self._waking or _NONE, None
        return bool(self.woken)


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Hub:
    """`stream_max_age`: watchers are sent away at about this age, so that clients resolve the address again."""

    def __init__(self, conninfo: str, *, stream_max_age: timedelta, password: Password | None = None) -> None:
        self._conninfo = conninfo
        self._password = password
        self._max_age = stream_max_age.total_seconds()
        self.draining = False
        self._me = secrets.token_hex(8)
        self._waiting: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._to_tell: set[str] = set()
        self._told = asyncio.Event()

    def subscribe(self, *topics: str) -> Subscription:
        """Use as a context manager. Subscribe before the first look, or a change in between is missed."""
        # Jitter: what connected together must not come again together.
        age = self._max_age * random.uniform(0.8, 1.2)  # noqa: S311  # no secret
        subscription = Subscription(self, until=asyncio.get_running_loop().time() + age)
        for topic in topics:
            self.add(subscription, topic)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """It waits for nothing any more."""
        for topic in subscription.topics:
            self._waiting[topic].discard(subscription)
            if not self._waiting[topic]:
                del self._waiting[topic]

    def add(self, subscription: Subscription, topic: str) -> bool:
        """Whether the subscription did not wait for the topic before."""
        if topic in subscription.topics:
            return False
        subscription.topics.append(topic)
        self._waiting[topic].add(subscription)
        return True

    def publish(self, topics: Iterable[str]) -> None:
        """The topics changed; call after commit."""
        for topic in set(topics):
            self._wake(topic)
            self._to_tell.add(topic)
            self._told.set()

    def drain(self) -> None:
        """End all streams cleanly: the process is about to stop."""
        self.draining = True
        self._wake_all()

    async def run(self) -> None:
        """Exchange hints with the other processes until cancelled; connections that break are renewed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._tell))
            group.create_task(self._forever(self._listen))

    async def _forever(self, exchange: Callable[[Channel], Awaitable[None]]) -> None:
        while True:
            try:
                async with Channel.open(self._conninfo, self._password) as channel:
                    await exchange(channel)
            except CONNECTION_LOST as e:
                _log.warning("hints_interrupted", error=str(e))
                await asyncio.sleep(0.5)
            # Whatever was missed in between: everyone looks again.
            self._wake_all()

    async def _tell(self, channel: Channel) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            topics, self._to_tell = sorted(self._to_tell), set()
            await channel.tell(self._me, topics)
            await asyncio.sleep(_PACE)

    async def _listen(self, channel: Channel) -> None:
        async for hint in channel.listen(timeout=5.0):
            if hint is None or hint[0] == self._me:
                continue
            for topic in hint[1]:
                self._wake(topic)

    def _wake(self, topic: str) -> None:
        for subscription in self._waiting.get(topic, ()):
            subscription.wake(topic)

    def _wake_all(self) -> None:
        for topic in self._waiting:
            self._wake(topic)
