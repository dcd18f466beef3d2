"""What happens to actions of locked runs within one transaction: decided one by one, written set-wise at its end.

Holds the newest state of each action that it touched, so that several things may happen to one action in a batch. Each
happening takes the next revision of its run and leaves an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, RunKey
from signalbox.rules import timers
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Cause, Owner
from signalbox.store import actions, cache, cluster_events, events, outbox, runs, work
from signalbox.store.actions import Change, Retry, State
from signalbox.store.cache import CacheKey, NewEntry
from signalbox.store.cluster_events import NewClusterEvent
from signalbox.store.db import Tx
from signalbox.store.events import Event

_NO_DELAY = timedelta(0)


class Journal:
    def __init__(self, locked: Mapping[RunKey, runs.Locked], *, now: datetime) -> None:
        self.now = now
        self._locked = locked
        self._revisions = {key: run.revision for key, run in locked.items()}
        self._touched: set[RunKey] = set()
        self._states: dict[ActionKey, State] = {}
        self._events: list[Event] = []
        self._changes: dict[ActionKey, Change] = {}
        self._retries: dict[ActionKey, Retry] = {}
        self._requeued: dict[ActionKey, work.Requeue] = {}
        self._ended: dict[ActionKey, State] = {}
        self._released: set[ActionKey] = set()
        self._running: list[ActionKey] = []
        self._timed_out: dict[ActionKey, Cause] = {}
        self._aborts: list[outbox.NewAbort] = []
        self._cluster_events: list[NewClusterEvent] = []
        self._admitted: set[str] = set()
        self._results: dict[ActionKey, NewEntry] = {}

    def know(self, states: Mapping[ActionKey, State]) -> None:
        """Take over states that were read under the runs' locks."""
        self._states.update(states)

    async def load(self, tx: Tx, keys: Sequence[ActionKey]) -> None:
        """Read the states of actions that are not known yet."""
        if missing := [key for key in dict.fromkeys(keys) if key not in self._states]:
            self._states |= await actions.states(tx, missing)

    def state(self, key: ActionKey) -> State | None:
        """The action as this transaction leaves it so far; None when it does not exist."""
        return self._states.get(key)

    @property
    def ended(self) -> list[ActionKey]:
        """Actions that reached a terminal phase here, in key order."""
        return sorted(self._ended)

    @property
    def ended_parents(self) -> list[ActionKey]:
        """Those of them that have children, in key order."""
        return sorted(key for key, state in self._ended.items() if state.live is None or state.live.is_parent)

    @property
    def runs(self) -> set[RunKey]:
        """Runs in which something happened."""
        return self._touched

    @property
    def told(self) -> set[ClusterKey]:
        """Clusters that must be told of an abort."""
        return {ClusterKey(abort.key.org, abort.cluster) for abort in self._aborts}

    @property
    def queued(self) -> set[str]:
        """Orgs in which something waits for a cluster again."""
        waiting = {key.org for key, item in self._requeued.items() if item.owner is Owner.DISPATCH}
        return waiting | self._admitted

    def revision(self, run: RunKey) -> int:
        self._touched.add(run)
        self._revisions[run] += 1
        return self._revisions[run]

    def note(self, events_of_cluster: Sequence[NewClusterEvent]) -> None:
        """Keep what a cluster told of an attempt besides its phase."""
        self._cluster_events.extend(events_of_cluster)
        self._touched.update(event.key.run_key for event in events_of_cluster)

    def move(
        self,
        state: State,
        phase: Phase,
        *,
        epoch: int,
        at: datetime,
        cluster: str | None = None,
        output_uri: str | None = None,
        error: bytes | None = None,
        error_recoverable: bool = False,
        log: bytes | None = None,
        started_at: datetime | None = None,
    ) -> State:
        """The action enters `phase`; a terminal one ends its lease and its work. Gives the state that it then has."""
        key = state.key
        over = phase in TERMINAL
        revision = self._event(state, events.Kind.PHASE, phase, epoch=epoch, cluster=cluster or state.cluster, at=at)
        before = self._changes.get(key)
        began = started_at or (before.started_at if before else None)
        self._changes[key] = Change(
            key=key,
            revision=revision,
            phase=phase,
            epoch=epoch,
            cluster=cluster or (before.cluster if before else None),
            started_at=began,
            ended_at=at if over else None,
            output_uri=output_uri,
            error=error,
            error_recoverable=error_recoverable,
            log=log or (before.log if before else None),
        )
        moved = state._replace(
            phase=phase, epoch=epoch, cluster=cluster or state.cluster, started_at=began or state.started_at
        )
        if over:
            self._ended[key] = moved
            if phase is Phase.SUCCEEDED and output_uri and state.cache_key and state.live is not None:
                self._results[key] = NewEntry(
                    CacheKey(key.org, state.cache_scope, state.cache_key),
                    output_uri,
                    "/".join(key[1:]),
                    max_age=None,
                    overwrite=True,  # the one that is there was too old, was not wanted, or is as good
                )
            moved = moved._replace(live=None)
        elif phase is Phase.RUNNING and state.live is not None and state.live.is_timed:
            self._running.append(key)
        self._states[key] = moved
        return moved

    def answer(self, state: State, *, output_uri: str) -> None:
        """The action has succeeded without running: an earlier result stands for its own."""
        self.move(
            state._replace(cache_key=""), Phase.SUCCEEDED, epoch=state.epoch, at=self.now, output_uri=output_uri,
            started_at=self.now,
        )  # fmt: skip

    def retry(
        self, state: State, *, before: State, user_failures: int, system_failures: int, delay: timedelta = _NO_DELAY
    ) -> None:
        """The attempt is past; the next one is queued, after `delay`. Call after `move` into the phase of its end.

        `before` is the state before that move.
        """
        attempt = state.attempt + 1
        live = before.live._replace(cluster=None) if before.live else None
        following = state._replace(
            attempt=attempt,
            phase=Phase.QUEUED,
            user_failures=user_failures,
            system_failures=system_failures,
            started_at=None,
            timeout_cause=Cause.NONE,
            live=live,
        )
        revision = self._event(following, events.Kind.PHASE, Phase.QUEUED, epoch=state.epoch, cluster="", at=self.now)
        self._retries[state.key] = Retry(
            key=state.key,
            revision=revision,
            attempt=attempt,
            user_failures=user_failures,
            system_failures=system_failures,
            queued_at=self.now,
        )
        self._ended.pop(state.key, None)
        self.requeue(following, delay=delay, fresh=True)

    def requeue(
        self, state: State, *, delay: timedelta = _NO_DELAY, fresh: bool = False, computes: bool = False
    ) -> None:
        """A lease or a wait is over; the attempt waits in line, after `delay`. `computes`: the result it waited for."""
        assert state.live is not None  # noqa: S101  # it is not over
        lacks_slot = self._locked[state.key.run_key].max_actions > 0 and state.is_slotless
        left = state.live.owner
        owner = timers.owner_after(left, is_delayed=delay > _NO_DELAY, lacks_slot=lacks_slot, computes=computes)
        self._requeued[state.key] = work.Requeue(state.key, state.attempt, owner, delay, fresh)
        self._released.add(state.key)
        self._states[state.key] = state._replace(live=state.live._replace(cluster=None, owner=owner))

    def refuse(self, state: State, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> None:
        """Put a conflicting result on record; it changes nothing."""
        self._event(state, events.Kind.CONFLICT, phase, epoch=epoch, cluster=cluster, at=at)

    async def abort(self, tx: Tx, keys: Sequence[ActionKey], *, reason: str, by: str) -> None:
        """Abort actions that are not over: at once what nobody holds; of the rest the wish stands until confirmed."""
        await work.lock(tx, keys)
        for key in keys:
            self._states.pop(key, None)  # a claim may have committed since it was read
        await self.load(tx, keys)
        await actions.request_abort(tx, keys, reason=reason, by=by, at=self.now)
        for key in keys:
            state = self._states[key]
            if state.held_by is None:
                self.move(state, Phase.ABORTED, epoch=state.epoch, at=self.now)
            elif state.abort_requested_at is None:
                self._stop(state, reason)

    def stop(self, state: State, *, cause: Cause, reason: str) -> None:
        """A bound is met: the cluster that holds the attempt must stop it; then it has timed out."""
        self._timed_out[state.key] = cause
        self._stop(state, reason)

    def _stop(self, state: State, reason: str) -> None:
        assert state.live is not None  # noqa: S101  # somebody holds it
        cluster = state.live.cluster or ""
        self._event(state, events.Kind.ABORT, state.phase, epoch=state.live.epoch, cluster=cluster, at=self.now)
        self._aborts.append(outbox.NewAbort(state.key, cluster, state.attempt, state.live.epoch, reason))

    async def write(self, tx: Tx) -> None:
        """Write everything; nothing may be recorded afterwards."""
        if self._changes:
            await actions.change(tx, list(self._changes.values()))
        if self._retries:
            await actions.retry(tx, list(self._retries.values()))
        if self._timed_out:
            await actions.request_timeout(tx, list(self._timed_out), list(self._timed_out.values()))
        if self._events:
            await events.append(tx, self._events)
        if self._cluster_events:
            await cluster_events.append(tx, self._cluster_events)
        await self._write_work(tx)
        await self._keep_results(tx)
        await self._end_runs(tx)
        await self._admit(tx)

    async def _write_work(self, tx: Tx) -> None:
        """Who must act next on what was touched, and what clusters must be told."""
        if running := [key for key in self._running if key not in self._ended and key not in self._requeued]:
            await work.begin_running(tx, running)
        if self._requeued:
            await work.requeue(tx, list(self._requeued.values()))
        if self._ended:
            await work.delete(tx, self.ended)
        if told := [key for key in sorted(self._released | set(self._ended)) if self._was_to_stop(key)]:
            await outbox.delete(tx, told)
        if self._aborts:
            await outbox.insert_aborts(tx, self._aborts)

    async def _keep_results(self, tx: Tx) -> None:
        """Results of cached actions, for others; and who waited for an action that is over goes on."""
        if self._results:
            newest = {entry.key: entry for entry in self._results.values()}
            await cache.put(tx, list(newest.values()))
            await actions.set_cache_status(tx, sorted(self._results), CacheStatus.POPULATED)
        cached = [state for state in self._ended.values() if state.cache_key]
        for org in sorted({state.key.org for state in cached}):
            await cache.release(tx, org, [str(state.key) for state in cached if state.key.org == org])
        if cached:
            await cache.wake(tx, [CacheKey(s.key.org, s.cache_scope, s.cache_key) for s in cached])

    async def _end_runs(self, tx: Tx) -> None:
        if roots := {key.run_key: state.phase for key, state in self._ended.items() if key.action == ROOT_ACTION}:
            await runs.end(tx, roots)

    async def _admit(self, tx: Tx) -> None:
        """What ended made room in runs with a limit."""
        parked = {item.key for item in self._requeued.values() if item.owner is Owner.RUN}
        for run in sorted({key.run_key for key in parked | set(self._ended)}):
            limit = self._locked[run].max_actions
            if limit and await work.admit(tx, run, max_actions=limit):
                self._admitted.add(run.org)

    def _was_to_stop(self, key: ActionKey) -> bool:
        state = self._ended.get(key) or self._states[key]
        return bool(state.abort_requested_at or state.timeout_cause or key in self._retries)

    def _event(self, state: State, kind: events.Kind, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> int:
        revision = self.revision(state.key.run_key)
        self._events.append(
            Event(
                key=state.key,
                revision=revision,
                parent=state.parent,
                kind=kind,
                phase=phase,
                attempt=state.attempt,
                epoch=epoch,
                cluster=cluster,
                occurred_at=at,
            )
        )
        return revision
