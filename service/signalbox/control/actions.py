"""Actions: enqueued by task processes, aborted by people and by their parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from signalbox.control.hub import Hub, cluster_topic, run_topic, scope_topic, work_topic
from signalbox.control.journal import Journal
from signalbox.errors import Conflict, NotFound, SignalboxError
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.roles import Permission
from signalbox.store import actions, audit, events, runs, specs, work
from signalbox.store.actions import Kind, NewAction
from signalbox.store.db import Database, Tx


class Enqueue(NamedTuple):
    """A child to be; `spec` is the serialized TaskSpec that `action.spec_digest` names."""

    action: NewAction
    spec: bytes | None
    principal: str
    request_id: str


class Enqueuer:
    """Applies batches of enqueues; remembers which TaskSpecs are kept, so that 6,000 leaves write one."""

    def __init__(self, db: Database, hub: Hub) -> None:
        self._db = db
        self._hub = hub
        self._kept: dict[tuple[str, bytes], None] = {}

    async def apply(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        """None for each that is enqueued, also when it was before (a replay); else why not."""
        async with self._db.transaction() as tx:
            keys = [item.action.key for item in items]
            locked = await runs.lock(tx, [key.run_key for key in keys])
            parents = [key._replace(action=item.action.parent) for key, item in zip(keys, items, strict=True)]
            known = await actions.existing(tx, list(dict.fromkeys(keys + parents)))
            verdicts = [
                None if key in known else _refusal(item, locked.get(key.run_key), known.get(parent))
                for key, parent, item in zip(keys, parents, items, strict=True)
            ]
            new = {
                key: item
                for key, item, verdict in zip(keys, items, verdicts, strict=True)
                if verdict is None and key not in known
            }
            kept: list[tuple[str, bytes]] = []
            if new:
                kept = await self._intern(tx, list(new.values()))
                await _insert(tx, list(new.values()), locked)
        if new:
            self._remember(kept)
            self._hub.publish(run_topic(key.run_key) for key in new)
            self._hub.publish(work_topic(key.org) for key in new)
        return verdicts

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


def _refusal(item: Enqueue, run: runs.Locked | None, parent: Phase | None) -> SignalboxError | None:
    key = item.action.key
    if run is None:
        return NotFound(f"run {key.run_key}: not found")
    if run.abort_requested:
        return Conflict(f"run {key.run_key}: is being aborted")
    if parent is None:
        return NotFound(f"parent_action_name: no action {item.action.parent!r} in run {key.run_key}")
    if parent in TERMINAL:
        return Conflict(f"parent_action_name: {item.action.parent!r} is over ({parent})")
    return None


async def _insert(tx: Tx, items: list[Enqueue], locked: dict[runs.RunKey, runs.Locked]) -> None:
    newest = {key: run.revision for key, run in locked.items()}
    revisions: list[int] = []
    for item in items:
        run = item.action.key.run_key
        newest[run] += 1
        revisions.append(newest[run])
    await actions.insert(tx, [item.action for item in items], revisions)
    await events.append(tx, [queued(item.action, revision) for item, revision in zip(items, revisions, strict=True)])
    await work.insert(tx, [item.action.key for item in items if item.action.kind is Kind.TASK])
    await audit.append_all(
        tx,
        [
            audit.Entry(item.action.key.org, item.principal, "action.enqueue", str(item.action.key), item.request_id)
            for item in items
        ],
    )
    await runs.set_revisions(tx, {item.action.key.run_key: newest[item.action.key.run_key] for item in items})


def queued(action: NewAction, revision: int) -> events.Event:
    """The first event of an action."""
    return events.Event(
        key=action.key,
        revision=revision,
        parent=action.parent,
        kind=events.Kind.PHASE,
        phase=action.phase,
        attempt=1,
        epoch=0,
        cluster="",
        occurred_at=action.ended_at or action.created_at,
    )


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
    """What lives below an action that ended is aborted: nobody will ever read its result."""
    if journal.ended and (orphans := await actions.live_below(tx, journal.ended)):
        await journal.abort(tx, orphans, reason="the parent action is over", by="system")


def publish(hub: Hub, journal: Journal) -> None:
    """Wake whom the journal's changes concern; call after commit."""
    hub.publish(run_topic(run) for run in journal.runs)
    hub.publish(cluster_topic(cluster) for cluster in journal.told)
    hub.publish(scope_topic(key.run_key.scope) for key in journal.ended if key.action == ROOT_ACTION)
    if journal.queued:
        hub.publish(work_topic(run.org) for run in journal.runs)
