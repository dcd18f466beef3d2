"""Runs: begun by people and by running tasks, aborted as a whole."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalbox.control import projects
from signalbox.control.actions import publish, queued
from signalbox.control.hub import Hub, run_topic, scope_topic, work_topic
from signalbox.control.journal import Journal
from signalbox.errors import AlreadyExists, Invalid, NotFound, Unavailable
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey, ScopeKey, TaskKey
from signalbox.op import Op
from signalbox.rules import names
from signalbox.rules.phases import Phase
from signalbox.rules.roles import Permission
from signalbox.store import actions, audit, clusters, events, runs, specs, tasks, work
from signalbox.store.actions import Kind, NewAction
from signalbox.store.db import Tx


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What the root action shows of its task."""

    name: str
    version: str
    short_name: str
    environment: str
    user_retries: int


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to be; its inputs are in the data plane already. `request` is the serialized request, for its digest."""

    scope: ScopeKey
    name: str | None
    spec: bytes
    task: TaskFacts
    definition: bytes
    input_uri: str
    run_spec: bytes
    run_base: str
    source: int
    labels: Mapping[str, str]
    start_time: datetime
    request: bytes


async def create(op: Op, hub: Hub, new: NewRun, *, domains: Sequence[str], lease_ttl: timedelta) -> RunKey:
    """Begin a run: it exists and waits for a cluster, or nothing happened.

    The same request sent again (same request id, a UUID) finds the run that it began. Raises NotFound for the project
    or domain, AlreadyExists for a name, Unavailable when no cluster can hold the run's data.
    """
    op.require(Permission.RUN_CREATE)
    request_digest = hashlib.sha256(b"\0".join([op.request_id.encode(), str(op.who).encode(), new.request])).digest()
    key = RunKey(*new.scope, new.name or names.run_name(_seed(op.request_id, request_digest)))
    root = ActionKey(*key, ROOT_ACTION)
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
            ),
        )
        if not begun:
            if await runs.request_digest(tx, key) == request_digest:
                return key
            raise AlreadyExists(f"run {key}: exists")
        digest = specs.digest(new.spec)
        await specs.intern(tx, key.org, {digest: new.spec})
        action = NewAction(
            key=root,
            parent="",
            kind=Kind.TASK,
            group_name="",
            definition=new.definition,
            spec_digest=digest,
            task_name=new.task.name,
            task_version=new.task.version,
            short_name=new.task.short_name,
            environment=new.task.environment,
            input_uri=new.input_uri,
            output_base=base,
            user_retries=new.task.user_retries,
            created_by=str(op.who),
            created_at=op.now,
            phase=Phase.QUEUED,
        )
        await actions.insert(tx, [action], [1])
        await events.append(tx, [queued(action, 1)])
        await work.insert(tx, [root])
        await runs.set_revisions(tx, {key: 1})
        await audit.append(tx, audit.Entry(key.org, str(op.who), "run.create", str(key), op.request_id))
    hub.publish([run_topic(key), scope_topic(key.scope), work_topic(key.org)])
    return key


async def deployed_spec(op: Op, task: TaskKey) -> bytes:
    """Serialized TaskSpec of a deployed task. Raises NotFound."""
    op.require(Permission.TASK_READ)
    async with op.db.reading() as tx:
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
        if live := await actions.live_in(tx, key):
            await runs.request_abort(tx, key, at=op.now)
            await journal.abort(tx, live, reason=reason, by=str(op.who))
            await journal.write(tx)
        await audit.append(tx, audit.Entry(key.org, str(op.who), "run.abort", str(key), op.request_id))
    publish(hub, journal)


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
