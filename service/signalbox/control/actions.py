"""Actions: enqueued by task processes, aborted by people and by their parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from signalbox.control import cache
from signalbox.control.hub import Hub, cluster_topic, ended_topic, run_topic, scope_topic, work_topic
from signalbox.control.journal import Journal
from signalbox.errors import Conflict, Invalid, NotFound, SignalboxError
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.roles import Permission
from signalbox.rules.timers import Owner
from signalbox.store import actions, audit, new_actions, queues, runs, specs, work
from signalbox.store.actions import Kind, Known
from signalbox.store.db import Database, Tx
from signalbox.store.new_actions import NewAction


class Enqueue(NamedTuple):
    """A child to be; `spec` is the serialized TaskSpec that `action.spec_digest` names."""

    action: NewAction
    spec: bytes | None


class Enqueuer:
    """Applies batches of enqueues; remembers which TaskSpecs are kept, so that 6,000 leaves write one."""

    def __init__(self, db: Database, hub: Hub) -> None:
        self._db = db
        self._hub = hub
        self._kept: dict[tuple[str, bytes], None] = {}

    async def apply(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        """None for each that is enqueued, also when it was before (a replay); else why not."""
        if items and self._may_be_plain(items):
            new = [item.action for item in items]
            async with self._db.autocommit() as tx:
                plain = await new_actions.enqueue_plain(tx, new)
            if plain:
                self._publish(new)
                return [None] * len(items)
        return await self._decide(items)

    def _may_be_plain(self, items: Sequence[Enqueue]) -> bool:
        """Whether nothing about the requests themselves asks for a decision; the tables may still."""
        return len({item.action.key for item in items}) == len(items) and all(
            item.action.is_plain and (item.action.key.org, item.action.spec_digest or b"") in self._kept
            for item in items
        )

    async def _decide(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        async with self._db.transaction() as tx:
            keys = [item.action.key for item in items]
            parents = [key._replace(action=item.action.parent) for key, item in zip(keys, items, strict=True)]
            locking = await runs.send_lock(tx, [key.run_key for key in keys])
            looking = await actions.send_phases(tx, list(dict.fromkeys(keys + parents)))
            locked = await runs.fetch_locked(locking)
            known = await actions.fetch_phases(looking)
            verdicts = [
                _refusal(item, locked.get(key.run_key), known.get(parent), is_repeat=key in known)
                for key, parent, item in zip(keys, parents, items, strict=True)
            ]
            verdicts = await _check_queues(tx, items, verdicts)
            new = {
                key: item
                for key, item, verdict in zip(keys, items, verdicts, strict=True)
                if verdict is None and key not in known
            }
            kept: list[tuple[str, bytes]] = []
            inserted: list[NewAction] = []
            if new:
                kept = await self._intern(tx, list(new.values()))
                parents_known = {key for key, action in known.items() if action.is_parent}
                inserted = await _insert(tx, [item.action for item in new.values()], locked, parents_known)
        self._remember(kept)
        self._publish(inserted)
        return verdicts

    def _publish(self, inserted: Sequence[NewAction]) -> None:
        self._hub.publish(run_topic(action.key.run_key) for action in inserted)
        self._hub.publish(work_topic(action.key.org) for action in inserted)
        self._hub.publish(ended_topic(action.key.run_key) for action in inserted if action.owner is None)

    async def _intern(self, tx: Tx, items: list[Enqueue]) -> list[tuple[str, bytes]]:
        missing: dict[tuple[str, bytes], bytes] = {}
        for item in items:
            identity = (item.action.key.org, item.action.spec_digest or b"")
            if item.spec is not None and identity not in self._kept:
                missing[identity] = item.spec
        for org in sorted({org for org, _ in missing}):
            await specs.intern(tx, org, {digest: body for (o, digest), body in missing.items() if o == org})
        return list(missing)

    def _remember(self, kept: list[tuple[str, bytes]]) -> None:
        self._kept |= dict.fromkeys(kept)
        while len(self._kept) > 10_000:  # noqa: PLR2004  # far more than a busy hour uses; each is 60 bytes
            del self._kept[next(iter(self._kept))]


def _refusal(item: Enqueue, run: runs.Locked | None, parent: Known | None, *, is_repeat: bool) -> SignalboxError | None:
    key = item.action.key
    if run is None:
        return NotFound(f"run {key.run_key}: not found")
    if run.abort_requested:  # a repeat too: the SDK stops a parent on this answer, and on no other
        return Conflict(f"run {key.run_key}: is being aborted")
    if is_repeat:
        return None
    if parent is None:
        return NotFound(f"parent_action_name: no action {item.action.parent!r} in run {key.run_key}")
    if parent.phase in TERMINAL:
        return Conflict(f"parent_action_name: {item.action.parent!r} is over ({parent.phase})")
    if parent.abort_requested:  # what lives below it has been told; what came later would never be
        return Conflict(f"parent_action_name: {item.action.parent!r} is being aborted")
    return None


async def _check_queues(
    tx: Tx, items: Sequence[Enqueue], verdicts: list[SignalboxError | None]
) -> list[SignalboxError | None]:
    """The verdicts, and a refusal for what names a queue that does not exist."""
    wanted = {(item.action.key.org, item.action.queue) for item in items if item.action.queue not in ("", "default")}
    if not wanted:
        return verdicts
    known = {
        (org, name)
        for org in sorted({org for org, _ in wanted})
        for name in await queues.known(tx, org, [name for o, name in wanted if o == org])
    }
    return [
        Invalid(f"queue: no queue {item.action.queue!r} in org {item.action.key.org}")
        if verdict is None and (item.action.key.org, item.action.queue) in wanted - known
        else verdict
        for item, verdict in zip(items, verdicts, strict=True)
    ]


async def _insert(
    tx: Tx, new: Sequence[NewAction], locked: Mapping[RunKey, runs.Locked], known_parents: AbstractSet[ActionKey]
) -> list[NewAction]:
    """The actions as they were inserted."""
    inherited = [_inherited(action, locked[action.key.run_key]) for action in new]
    recovered = await _recovered(tx, inherited, locked)
    resolved = await cache.answered(tx, recovered, {a.key: locked[a.key.run_key] for a in recovered})
    newest = {key: run.revision for key, run in locked.items()}
    revisions: list[int] = []
    for action in resolved:
        newest[action.key.run_key] += 1
        revisions.append(newest[action.key.run_key])
    await new_actions.insert(tx, resolved, revisions)
    waiting = [action for action in resolved if action.owner is not None]
    if parents := {a.key._replace(action=a.parent) for a in waiting if a.parent} - known_parents:
        await work.become_parents(tx, sorted(parents))
    for run in sorted({key.run_key for key in parents} | {a.key.run_key for a in waiting if a.owner is Owner.RUN}):
        if limit := locked[run].max_actions:  # a new parent has given up its slot
            await work.admit(tx, run, max_actions=limit)
    return resolved


async def enqueue_root(tx: Tx, root: NewAction) -> None:
    """Insert the root of a run that this transaction has just inserted."""
    locked = await runs.lock(tx, [root.key.run_key])
    (inserted,) = await _insert(tx, [root], locked, frozenset())
    if inserted.phase in TERMINAL:  # answered from the cache
        await runs.end(tx, {root.key.run_key: inserted.phase})


def _inherited(action: NewAction, run: runs.Locked) -> NewAction:
    """With what its run lends it: a queue, and a place in the line for one of the run's slots."""
    return action._replace(
        queue=action.queue or run.queue,
        owner=Owner.RUN if run.max_actions and action.owner is Owner.DISPATCH else action.owner,
    )


async def _recovered(tx: Tx, new: list[NewAction], locked: Mapping[RunKey, runs.Locked]) -> list[NewAction]:
    """Tasks of runs that recover from another one, answered with its results where it has them.

    Not the root: it is what finds out which tasks there are.
    """
    wanted = [a.key for a in new if a.kind is Kind.TASK and a.parent and locked[a.key.run_key].recovers]
    if not wanted:
        return new
    found = await actions.recoverable(tx, wanted)
    return [
        action.over(Phase.RECOVERED, output_uri=found[action.key].output_uri)._replace(
            recovered_from=found[action.key].source
        )
        if action.key in found
        else action
        for action in new
    ]


async def abort(op: Op, hub: Hub, key: ActionKey, *, reason: str) -> None:
    """Abort an action and all below it; repeated asks and finished actions change nothing. Raises NotFound."""
    op.require(Permission.RUN_ABORT)
    async with op.transaction() as tx:
        locked = await runs.lock(tx, [key.run_key])
        journal = Journal(locked, now=op.now)
        await journal.load(tx, [key])
        state = journal.state(key)
        if state is None:
            raise NotFound(f"action {key}: not found")
        if key.action == ROOT_ACTION and state.phase not in TERMINAL:
            await runs.request_abort(tx, key.run_key, at=op.now)
        own = [key] if state.phase not in TERMINAL else []
        below = await actions.live_below(tx, [key])
        await journal.abort(tx, own + below, reason=reason, by=str(op.who))
        await journal.write(tx)
        await audit.append(tx, audit.Entry(key.org, str(op.who), "action.abort", str(key), op.request_id))
    publish(hub, journal)


async def cascade(tx: Tx, journal: Journal) -> None:
    """What lives below an action that ended is aborted: nobody will ever read its result.

    Writes the journal: what ended or was queued anew with its parent must not be taken for what it was before.
    """
    parents = journal.ended_parents
    await journal.write(tx)
    if parents and (orphans := await actions.live_below(tx, parents)):
        await journal.abort(tx, orphans, reason="the parent action is over", by="system")
        await journal.write(tx)


def publish(hub: Hub, journal: Journal) -> None:
    """Wake whom the journal's changes concern; call after commit."""
    hub.publish(run_topic(run) for run in journal.runs)
    hub.publish(ended_topic(run) for run in {key.run_key for key in journal.ended})
    hub.publish(cluster_topic(cluster) for cluster in journal.told)
    hub.publish(scope_topic(key.run_key.scope) for key in journal.ended if key.action == ROOT_ACTION)
    hub.publish(work_topic(org) for org in journal.queued)
