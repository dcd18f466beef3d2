"""What happens to actions of locked runs within one transaction: decided one by one, written set-wise.

Holds the newest state of each action that it touched, so that several things may happen to one action in a batch. Each
happening takes the next revision of its run and leaves an event. Whoever asks the tables what lives writes first: they
do not know yet what was recorded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from signalbox.control.unwritten import Unwritten
from signalbox.ids import ActionKey, ClusterKey, RunKey
from signalbox.rules import timers
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Cause, Owner
from signalbox.store import actions, events, outbox, runs, work
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
        self._ended: dict[ActionKey, State] = {}
        self._told: set[ClusterKey] = set()
        self._queued: set[str] = set()
        self._unwritten = Unwritten()

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
        return self._told

    @property
    def queued(self) -> set[str]:
        """Orgs in which something waits for a cluster again; known when it is written."""
        return self._queued

    def revision(self, run: RunKey) -> int:
        self._touched.add(run)
        self._revisions[run] += 1
        return self._revisions[run]

    def note(self, events_of_cluster: Sequence[NewClusterEvent]) -> None:
        """Keep what a cluster told of an attempt besides its phase."""
        self._unwritten.cluster_events.extend(events_of_cluster)
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
        before = self._unwritten.changes.get(key)
        began = started_at or (before.started_at if before else None)
        self._unwritten.changes[key] = Change(
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
            self._ended[key] = self._unwritten.ended[key] = moved
            if phase is Phase.SUCCEEDED and output_uri and state.cache_key and state.live is not None:
                self._unwritten.results[key] = NewEntry(
                    CacheKey(key.org, state.cache_scope, state.cache_key),
                    output_uri,
                    "/".join(key[1:]),
                    max_age=None,
                    overwrite=True,  # the one that is there was too old, was not wanted, or is as good
                )
            moved = moved._replace(live=None)
        elif phase is Phase.RUNNING and state.live is not None and state.live.is_timed:
            self._unwritten.running.append(key)
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
        self._unwritten.retries[state.key] = Retry(
            key=state.key,
            revision=revision,
            attempt=attempt,
            user_failures=user_failures,
            system_failures=system_failures,
            queued_at=self.now,
        )
        del self._ended[state.key], self._unwritten.ended[state.key]
        self.requeue(following, delay=delay, fresh=True)

    def requeue(
        self, state: State, *, delay: timedelta = _NO_DELAY, fresh: bool = False, computes: bool = False
    ) -> None:
        """A lease or a wait is over; the attempt waits in line, after `delay`. `computes`: the result it waited for."""
        assert state.live is not None  # noqa: S101  # it is not over
        lacks_slot = self._locked[state.key.run_key].max_actions > 0 and state.is_slotless
        left = state.live.owner
        owner = timers.owner_after(left, is_delayed=delay > _NO_DELAY, lacks_slot=lacks_slot, computes=computes)
        self._unwritten.requeued[state.key] = work.Requeue(state.key, state.attempt, owner, delay, fresh)
        self._unwritten.released[state.key] = state
        self._states[state.key] = state._replace(live=state.live._replace(cluster=None, owner=owner))

    def refuse(self, state: State, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> None:
        """Put a conflicting result on record; it changes nothing."""
        self._event(state, events.Kind.CONFLICT, phase, epoch=epoch, cluster=cluster, at=at)

    async def abort(self, tx: Tx, keys: Sequence[ActionKey], *, reason: str, by: str) -> None:
        """Abort actions that are not over: at once what nobody holds; of the rest the wish stands until confirmed.

        Which those are the tables must say already: `write` what was recorded before they were looked for.
        """
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
        self._unwritten.timed_out[state.key] = cause
        self._stop(state, reason)

    def _stop(self, state: State, reason: str) -> None:
        assert state.live is not None  # noqa: S101  # somebody holds it
        cluster = state.live.cluster or ""
        self._event(state, events.Kind.ABORT, state.phase, epoch=state.live.epoch, cluster=cluster, at=self.now)
        self._told.add(ClusterKey(state.key.org, cluster))
        self._unwritten.aborts.append(outbox.NewAbort(state.key, cluster, state.attempt, state.live.epoch, reason))

    async def write(self, tx: Tx) -> None:
        """Write what was recorded since the last time: from now on the tables say it too."""
        unwritten, self._unwritten = self._unwritten, Unwritten()
        self._queued |= {key.org for key, item in unwritten.requeued.items() if item.owner is Owner.DISPATCH}
        self._queued |= await unwritten.write(tx, self._locked)

    def _event(self, state: State, kind: events.Kind, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> int:
        revision = self.revision(state.key.run_key)
        self._unwritten.events.append(
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
