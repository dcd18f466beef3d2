"""What a journal has recorded and the tables do not say yet; written set-wise, in one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.rules.cache import CacheStatus
from signalbox.rules.timers import Cause, Owner
from signalbox.store import actions, cache, cluster_events, events, outbox, runs, work
from signalbox.store.actions import Change, Retry, State
from signalbox.store.cache import CacheKey, NewEntry
from signalbox.store.cluster_events import NewClusterEvent
from signalbox.store.db import Tx
from signalbox.store.events import Event


@dataclass
class Unwritten:
    """`ended` and `released` have the states with which the leases ended."""

    events: list[Event] = field(default_factory=list[Event])
    changes: dict[ActionKey, Change] = field(default_factory=dict[ActionKey, Change])
    retries: dict[ActionKey, Retry] = field(default_factory=dict[ActionKey, Retry])
    requeued: dict[ActionKey, work.Requeue] = field(default_factory=dict[ActionKey, work.Requeue])
    released: dict[ActionKey, State] = field(default_factory=dict[ActionKey, State])
    ended: dict[ActionKey, State] = field(default_factory=dict[ActionKey, State])
    running: list[ActionKey] = field(default_factory=list[ActionKey])
    timed_out: dict[ActionKey, Cause] = field(default_factory=dict[ActionKey, Cause])
    aborts: list[outbox.NewAbort] = field(default_factory=list[outbox.NewAbort])
    cluster_events: list[NewClusterEvent] = field(default_factory=list[NewClusterEvent])
    results: dict[ActionKey, NewEntry] = field(default_factory=dict[ActionKey, NewEntry])

    async def write(self, tx: Tx, locked: Mapping[RunKey, runs.Locked]) -> set[str]:
        """Write everything; gives the orgs in which something got a slot of its run, and waits for a cluster now."""
        if self.changes:
            await actions.change(tx, list(self.changes.values()))
        if self.retries:
            await actions.retry(tx, list(self.retries.values()))
        if self.timed_out:
            await actions.request_timeout(tx, list(self.timed_out), list(self.timed_out.values()))
        if self.events:
            await events.append(tx, self.events)
        if self.cluster_events:
            await cluster_events.append(tx, self.cluster_events)
        await self._write_work(tx)
        await self._keep_results(tx)
        if roots := {key.run_key: state.phase for key, state in self.ended.items() if key.action == ROOT_ACTION}:
            await runs.end(tx, roots)
        return await self._admit(tx, locked)

    async def _write_work(self, tx: Tx) -> None:
        """Who must act next on what was touched, and what clusters must be told."""
        if running := [key for key in self.running if key not in self.ended and key not in self.requeued]:
            await work.begin_running(tx, running)
        if self.requeued:
            await work.requeue(tx, list(self.requeued.values()))
        if self.ended:
            await work.delete(tx, sorted(self.ended))
        if told := [key for key, state in sorted((self.released | self.ended).items()) if self._was_to_stop(state)]:
            await outbox.delete(tx, told)
        if self.aborts:
            await outbox.insert_aborts(tx, self.aborts)

    def _was_to_stop(self, state: State) -> bool:
        return bool(state.abort_requested_at or state.timeout_cause or state.key in self.retries)

    async def _keep_results(self, tx: Tx) -> None:
        """Results of cached actions, for others; and who waited for an action that is over goes on."""
        if self.results:
            newest = {entry.key: entry for entry in self.results.values()}
            await cache.put(tx, list(newest.values()))
            await actions.set_cache_status(tx, sorted(self.results), CacheStatus.POPULATED)
        cached = [state for state in self.ended.values() if state.cache_key]
        for org in sorted({state.key.org for state in cached}):
            await cache.release(tx, org, [str(state.key) for state in cached if state.key.org == org])
        if cached:
            await cache.wake(tx, [CacheKey(s.key.org, s.cache_scope, s.cache_key) for s in cached])

    async def _admit(self, tx: Tx, locked: Mapping[RunKey, runs.Locked]) -> set[str]:
        """What ended made room in runs with a limit."""
        parked = {item.key for item in self.requeued.values() if item.owner is Owner.RUN}
        admitted: set[str] = set()
        for run in sorted({key.run_key for key in parked | set(self.ended)}):
            limit = locked[run].max_actions
            if limit and await work.admit(tx, run, max_actions=limit):
                admitted.add(run.org)
        return admitted
