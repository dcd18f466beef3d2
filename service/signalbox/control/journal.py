"""What happens to actions of locked runs within one transaction: decided one by one, written set-wise at its end.

Holds the newest state of each action that it touched, so that several things may happen to one action in a batch. Each
happening takes the next revision of its run and leaves an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from signalbox.ids import ActionKey, ClusterKey, RunKey
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.store import actions, events, outbox, runs, work
from signalbox.store.actions import Change, Retry, State
from signalbox.store.db import Tx
from signalbox.store.events import Event


class Journal:
    def __init__(self, locked: Mapping[RunKey, runs.Locked], *, now: datetime) -> None:
        self.now = now
        self._revisions = {key: run.revision for key, run in locked.items()}
        self._touched: set[RunKey] = set()
        self._states: dict[ActionKey, State] = {}
        self._events: list[Event] = []
        self._changes: dict[ActionKey, Change] = {}
        self._retries: dict[ActionKey, Retry] = {}
        self._requeued: dict[ActionKey, int] = {}
        self._ended: set[ActionKey] = set()
        self._released: set[ActionKey] = set()
        self._aborts: list[outbox.NewAbort] = []

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
    def runs(self) -> set[RunKey]:
        """Runs in which something happened."""
        return self._touched

    @property
    def told(self) -> set[ClusterKey]:
        """Clusters that must be told of an abort."""
        return {ClusterKey(abort.key.org, abort.cluster) for abort in self._aborts}

    @property
    def queued(self) -> bool:
        """Whether something waits for a cluster again."""
        return bool(self._requeued)

    def revision(self, run: RunKey) -> int:
        self._touched.add(run)
        self._revisions[run] += 1
        return self._revisions[run]

    def record(self, event: Event) -> None:
        self._events.append(event)

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
    ) -> None:
        """The action enters `phase`; a terminal one ends its lease and its work."""
        over = phase in TERMINAL
        revision = self._event(state, events.Kind.PHASE, phase, epoch=epoch, cluster=cluster or state.cluster, at=at)
        before = self._changes.get(state.key)
        began = started_at or (before.started_at if before else None)
        self._changes[state.key] = Change(
            key=state.key,
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
        self._states[state.key] = replace(
            state,
            phase=phase,
            epoch=epoch,
            cluster=cluster or state.cluster,
            started_at=began or state.started_at,
            work_cluster=None if over else state.work_cluster,
        )
        if over:
            self._ended.add(state.key)

    def retry(self, state: State, *, user_failures: int, system_failures: int) -> None:
        """The current attempt is past; the next one is queued. Call after `move` into the phase that it ended in."""
        attempt = state.attempt + 1
        following = replace(
            state,
            attempt=attempt,
            phase=Phase.QUEUED,
            user_failures=user_failures,
            system_failures=system_failures,
            started_at=None,
            work_cluster=None,
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
        self._ended.discard(state.key)
        self.requeue(following)

    def requeue(self, state: State) -> None:
        """The lease is taken back; the attempt waits again."""
        self._requeued[state.key] = state.attempt
        self._released.add(state.key)
        self._states[state.key] = replace(state, work_cluster=None)

    def refuse(self, state: State, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> None:
        """Put a conflicting result on record; it changes nothing."""
        self._event(state, events.Kind.CONFLICT, phase, epoch=epoch, cluster=cluster, at=at)

    async def abort(self, tx: Tx, keys: Sequence[ActionKey], *, reason: str, by: str) -> None:
        """Abort actions that are not over: at once what nobody holds; of the rest the wish stands until confirmed."""
        for run in sorted({key.run_key for key in keys}):
            await work.lock_run(tx, run)
        for key in keys:
            self._states.pop(key, None)  # a claim may have committed since it was read
        await self.load(tx, keys)
        await actions.request_abort(tx, keys, reason=reason, by=by, at=self.now)
        for key in keys:
            state = self._states[key]
            if state.work_cluster is None or state.work_epoch is None:
                self.move(state, Phase.ABORTED, epoch=state.epoch, at=self.now)
            elif state.abort_requested_at is None:
                self._event(
                    state,
                    events.Kind.ABORT,
                    state.phase,
                    epoch=state.work_epoch,
                    cluster=state.work_cluster,
                    at=self.now,
                )
                self._aborts.append(outbox.NewAbort(key, state.work_cluster, state.attempt, state.work_epoch, reason))

    async def write(self, tx: Tx) -> None:
        """Write everything; nothing may be recorded afterwards."""
        if self._changes:
            await actions.change(tx, list(self._changes.values()))
        if self._retries:
            await actions.retry(tx, list(self._retries.values()))
        if self._events:
            await events.append(tx, self._events)
        if self._requeued:
            await work.requeue(tx, [work.Requeue(key, attempt) for key, attempt in self._requeued.items()])
        if self._ended:
            await work.delete(tx, self.ended)
        if told := [key for key in sorted(self._ended | self._released) if self._states[key].abort_requested_at]:
            await outbox.delete(tx, told)
        if self._aborts:
            await outbox.insert_aborts(tx, self._aborts)
        if self._touched:
            await runs.set_revisions(tx, {key: self._revisions[key] for key in self._touched})

    def _event(self, state: State, kind: events.Kind, phase: Phase, *, epoch: int, cluster: str, at: datetime) -> int:
        revision = self.revision(state.key.run_key)
        self.record(
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
