"""Runs: begun by people and by running tasks, aborted as a whole."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalbox.control import projects
from signalbox.control.actions import abort_below, enqueue_root, go_on_aborting, publish
from signalbox.control.hub import Hub, run_topic, scope_topic, work_topic
from signalbox.control.journal import Journal
from signalbox.errors import AlreadyExists, Exhausted, Invalid, NotFound, Precondition, Unavailable
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey, ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.rules import names
from signalbox.rules.phases import TERMINAL
from signalbox.rules.roles import Permission
from signalbox.store import audit, clusters, queues, runs, specs, tasks, work
from signalbox.store.aborts_below import AbortBelow
from signalbox.store.db import Tx
from signalbox.store.new_actions import NewAction
from signalbox.store.queues import QueueState


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to be; its inputs are in the data plane already. `request` is the serialized request, for its digest.

    `root`: the root action without what only its run decides (key, output base, queue).
    """

    scope: ScopeKey
    name: str | None
    spec: bytes
    root: NewAction
    run_spec: bytes
    run_base: str
    source: int
    labels: Mapping[str, str]
    start_time: datetime
    request: bytes
    queue: str = ""
    max_actions: int = 0
    overwrite_cache: bool = False
    cache_global: bool = False
    recover_from: RunKey | None = None
    force_rerun: Sequence[str] = ()


async def create(op: Op, hub: Hub, new: NewRun, *, domains: Sequence[str], lease_ttl: timedelta) -> RunKey:
    """Begin a run: it exists and waits for a cluster, or nothing happened.

    The same request sent again (same request id, a UUID) finds the run that it began. Raises NotFound for the project
    or domain and for a run to recover from, AlreadyExists for a name, Precondition for a queue that is being drained,
    Exhausted for a full one, Unavailable when no cluster can hold the run's data.
    """
    op.require(Permission.RUN_CREATE)
    request_digest = hashlib.sha256(b"\0".join([op.request_id.encode(), str(op.who).encode(), new.request])).digest()
    key = RunKey(*new.scope, new.name or names.run_name(_seed(op.request_id, request_digest)))
    queue = new.queue or queues.DEFAULT
    async with op.transaction() as tx:
        await projects.require(tx, new.scope, domains=domains)
        base = new.run_base or names.run_output_base(await _storage(tx, key.org, ttl=lease_ttl), key)
        begun = await runs.insert(
            tx,
            runs.NewRun(
                key=key,
                run_spec=new.run_spec,
                source=new.source,
                labels=new.labels,
                start_time=new.start_time,
                output_base=base,
                created_by=str(op.who),
                request_digest=request_digest,
                created_at=op.now,
                queue=queue,
                max_actions=new.max_actions,
                overwrite_cache=new.overwrite_cache,
                cache_global=new.cache_global,
                recover_from=new.recover_from,
                force_rerun=new.force_rerun,
            ),
        )
        if not begun:
            if await runs.request_digest(tx, key) == request_digest:
                return key
            raise AlreadyExists(f"run {key}: exists")
        await _check_queue(tx, key.org, queue)
        if new.recover_from and not await runs.exists(tx, new.recover_from):
            raise NotFound(f"run {new.recover_from}, to recover from: not found")
        await specs.intern(tx, key.org, {specs.digest(new.spec): new.spec})
        root = new.root._replace(key=ActionKey(*key, ROOT_ACTION), output_base=base, queue=queue)
        await enqueue_root(tx, root)
        await audit.append(tx, audit.Entry(key.org, str(op.who), "run.create", str(key), op.request_id))
    hub.publish([run_topic(key), scope_topic(key.scope), work_topic(key.org)])
    return key


async def _check_queue(tx: Tx, org: str, name: str) -> None:
    queue = await queues.named(tx, org, name)
    if queue is not None and queue.max_depth is not None:
        # Else runs that begin at once all count the same: each the others' roots not yet.
        queue = await queues.lock(tx, org, name)
    if queue is None:
        if name != queues.DEFAULT:
            raise Invalid(f"queue: no queue {name!r} in org {org}")
        return
    if queue.state is QueueState.DRAINING:
        raise Precondition(f"queue {name}: is being drained, no run begins in it")
    if queue.max_depth is not None and await queues.depth(tx, org, name, limit=queue.max_depth) >= queue.max_depth:
        raise Exhausted(f"queue {name}: full, {queue.max_depth} actions wait")


async def deployed_spec(op: Op, task: TaskKey) -> bytes:
    """Serialized TaskSpec of a deployed task. Raises NotFound."""
    op.require(Permission.TASK_READ)
    async with op.db.autocommit() as tx:
        spec = await tasks.spec(tx, task)
    if spec is None:
        raise NotFound(f"task {task}: not found")
    return spec


async def abort(op: Op, hub: Hub, key: RunKey, *, reason: str) -> None:
    """Abort all of a run that is not over; nothing more can be enqueued in it. Asking again changes nothing."""
    op.require(Permission.RUN_ABORT)
    async with op.transaction() as tx:
        locked = await runs.lock(tx, [key])
        if key not in locked:
            raise NotFound(f"run {key}: not found")
        journal = Journal(locked, now=op.now)
        all_told = True
        root = ActionKey(*key, ROOT_ACTION)
        if await work.lives(tx, key):
            await runs.request_abort(tx, key, at=op.now)
            await journal.load(tx, [root])
            if (state := journal.state(root)) is not None and state.phase not in TERMINAL:
                await journal.abort(tx, [root], reason=reason, by=str(op.who))
            all_told = await abort_below(tx, journal, [root], reason=reason, by=str(op.who))
            await journal.write(tx)
        await audit.append(tx, audit.Entry(key.org, str(op.who), "run.abort", str(key), op.request_id))
    publish(hub, journal)
    while not all_told:
        all_told = await go_on_aborting(op, hub, AbortBelow(root, reason, str(op.who)))


def _seed(request_id: str, request_digest: bytes) -> bytes:
    """Where the generated name comes from: a client's repeat of one request must find the same run.

    The SDK sends a UUID with each request, the same on its own retries; inside of tasks it sends an id with four
    random characters, too few to tell two requests apart.
    """
    try:
        uuid.UUID(request_id)
    except ValueError:
        return secrets.token_bytes(16)
    return request_digest


async def _storage(tx: Tx, org: str, *, ttl: timedelta) -> str:
    """Storage prefix for a new run. All clusters of the one pool share their object store."""
    known = await clusters.of_org(tx, org, ttl=ttl)
    if not known:
        raise Unavailable(f"org {org}: no cluster is registered", hint="enrol a data plane with a join token")
    if len(prefixes := {cluster.storage_prefix for cluster in known}) > 1:
        raise Invalid(f"org {org}: clusters of one pool must share an object store, got {', '.join(sorted(prefixes))}")
    return known[0].storage_prefix
