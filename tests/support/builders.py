"""Rows with defaults, made by the product's own functions, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from flyteidl2.core import tasks_pb2
from flyteidl2.task import run_pb2, task_definition_pb2
from flyteidl2.workflow import run_definition_pb2

from signalbox.access.principals import DEVELOPER
from signalbox.control import projects
from signalbox.control.actions import cascade
from signalbox.control.journal import Journal
from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, ProjectKey, RunKey, ScopeKey, TaskKey
from signalbox.op import Op, Principal
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Owner
from signalbox.store import clusters, new_actions, runs, specs, tasks, work
from signalbox.store.actions import Kind
from signalbox.store.db import Database, Tx
from signalbox.store.new_actions import NewAction

ORG = "local"
SCOPE = ScopeKey(ORG, "flytesnacks", "development")
DOMAINS = ("development", "staging", "production")
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""When everything is created that is not told otherwise."""


def an_op(db: Database, who: Principal = DEVELOPER, *, now: datetime | None = None) -> Op:
    return Op(who=who, now=now or datetime.now(UTC), request_id="test", db=db)


def a_spec(
    name: str = "main.greet", *, task_type: str = "python", entrypoint: bool = False
) -> task_definition_pb2.TaskSpec:
    template = tasks_pb2.TaskTemplate(type=task_type, metadata=tasks_pb2.TaskMetadata(is_entrypoint=entrypoint))
    template.id.name = name
    short = name.rpartition(".")[2]
    environment = task_definition_pb2.TaskSpec().environment
    environment.name = name.rpartition(".")[0]
    return task_definition_pb2.TaskSpec(task_template=template, short_name=short, environment=environment)


async def a_project(db: Database, key: ProjectKey = ProjectKey(SCOPE.org, SCOPE.project)) -> ProjectKey:  # noqa: B008  # a tuple of strings
    await projects.ensure_default(db, key.org, [key.project])
    return key


async def a_run(
    tx: Tx,
    name: str = "r1",
    *,
    scope: ScopeKey = SCOPE,
    phase: Phase = Phase.QUEUED,
    created_at: datetime = START,
    created_by: str = str(DEVELOPER),
    labels: Mapping[str, str] | None = None,
    run_spec: run_pb2.RunSpec | None = None,
    source: int = run_definition_pb2.RUN_SOURCE_CLI,
    task: str = "main.greet",
    version: str = "v1",
) -> RunKey:
    """A run whose root is in `phase`."""
    key = RunKey(*scope, name)
    await runs.insert(
        tx,
        runs.NewRun(
            key=key,
            run_spec=(run_spec or run_pb2.RunSpec()).SerializeToString(),
            source=source,
            labels=labels or {},
            start_time=created_at,
            output_base=f"file:///store/{key}",
            created_by=created_by,
            request_digest=b"",
            created_at=created_at,
        ),
    )
    root = ActionKey(*key, ROOT_ACTION)
    await _insert(
        tx, [_task_action(root, "", created_at=created_at, created_by=created_by, task=task, version=version)]
    )
    if phase is not Phase.QUEUED:
        await enter(tx, root, phase, at=created_at + timedelta(seconds=1))
    return key


async def actions_of(
    tx: Tx,
    run: RunKey,
    phases: Mapping[str, Phase] | list[str],
    *,
    parent: str = ROOT_ACTION,
    created_at: datetime = START,
    group: str = "",
    task: str = "main.leaf",
) -> list[ActionKey]:
    """Task actions below `parent`, which is not over, in these phases (queued, when only names are given)."""
    wanted = dict.fromkeys(phases, Phase.QUEUED) if isinstance(phases, list) else phases
    keys = [ActionKey(*run, name) for name in wanted]
    await _insert(tx, [_task_action(key, parent, created_at=created_at, group=group, task=task) for key in keys])
    await work.become_parents(tx, [ActionKey(*run, parent)])
    for key, phase in zip(keys, wanted.values(), strict=True):
        if phase is not Phase.QUEUED:
            await enter(tx, key, phase, at=created_at + timedelta(seconds=1))
    return keys


async def a_chain(tx: Tx, run: RunKey, names: Sequence[str], *, task: str = "main.leaf") -> None:
    """Waiting tasks, each the parent of the next; the first below the root."""
    parents = [ROOT_ACTION, *names[:-1]]
    links = [
        _task_action(ActionKey(*run, name), parent, created_at=START, task=task)
        for name, parent in zip(names, parents, strict=True)
    ]
    await _insert(tx, links)
    await work.become_parents(tx, sorted(ActionKey(*run, parent) for parent in parents))


async def a_trace(tx: Tx, run: RunKey, name: str = "trace", *, started_at: datetime = START) -> ActionKey:
    """A trace that took one second and succeeded."""
    trace = run_definition_pb2.TraceAction(name="lookup", spec=task_definition_pb2.TraceSpec())
    trace.spec.interface.SetInParent()
    action = NewAction(
        key=ActionKey(*run, name),
        parent=ROOT_ACTION,
        kind=Kind.TRACE,
        group_name="",
        definition=trace.SerializeToString(),
        spec_digest=None,
        task_name="",
        task_version="",
        short_name="lookup",
        environment="",
        input_uri="file:///in/inputs.pb",
        output_base="file:///store",
        user_retries=0,
        created_by=str(DEVELOPER),
        created_at=started_at + timedelta(seconds=5),
        phase=Phase.SUCCEEDED,
        owner=None,
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=1),
        output_uri="file:///store/trace/outputs.pb",
    )
    await _insert(tx, [action])
    return action.key


async def enter(
    tx: Tx,
    key: ActionKey,
    phase: Phase,
    *,
    at: datetime = START,
    cluster: str = "one",
    error: run_definition_pb2.ErrorInfo | None = None,
    log: run_definition_pb2.ActionEvent | None = None,
    output_uri: str | None = None,
    retry: bool = False,
) -> None:
    """The action enters `phase` as if its cluster had reported it; with `retry` the next attempt is queued behind.

    When it is over, what lives below it is aborted, as in the product.
    """
    journal = Journal(await runs.lock(tx, [key.run_key]), now=at)
    await journal.load(tx, [key])
    state = journal.state(key)
    assert state is not None
    moved = journal.move(
        state,
        phase,
        epoch=state.epoch + 1,
        at=at,
        cluster=cluster,
        started_at=at if phase is Phase.RUNNING else None,
        output_uri=output_uri or (f"{state.output_base}/{key.action}/{state.attempt}" if phase in TERMINAL else None),
        error=error.SerializeToString() if error else None,
        log=log.SerializeToString() if log else None,
    )
    if retry:
        journal.retry(moved, before=state, user_failures=state.user_failures + 1, system_failures=0)
    await cascade(tx, journal)
    await journal.write(tx)


async def a_task(
    tx: Tx,
    name: str = "main.greet",
    version: str = "v1",
    *,
    scope: ScopeKey = SCOPE,
    deployed_at: datetime = START,
    deployed_by: str = str(DEVELOPER),
    entrypoint: bool = False,
) -> TaskKey:
    body = a_spec(name, entrypoint=entrypoint).SerializeToString(deterministic=True)
    await specs.intern(tx, scope.org, {specs.digest(body): body})
    key = TaskKey(*scope, name, version)
    await tasks.insert(
        tx,
        tasks.NewTask(
            key=key,
            spec_digest=specs.digest(body),
            short_name=name.rpartition(".")[2],
            environment=name.rpartition(".")[0],
            description="",
            deployed_by=deployed_by,
            is_entrypoint=entrypoint,
        ),
    )
    await tx.execute(
        """
        UPDATE task SET deployed_at = %(at)s
         WHERE org = %(org)s AND project = %(project)s AND domain = %(domain)s AND name = %(name)s
           AND version = %(version)s""",
        key._asdict() | {"at": deployed_at},
    )
    return key


async def a_cluster(tx: Tx, name: str = "one", *, org: str = ORG, silent_for: timedelta = timedelta()) -> ClusterKey:
    """A cluster that was last heard of `silent_for` ago."""
    key = ClusterKey(org, name)
    facts = clusters.Facts(
        dataproxy_endpoint=f"http://{name}.example:9000", storage_prefix="file:///store", agent_version="1"
    )
    await clusters.enrol(tx, key, facts)
    await clusters.begin_stream(tx, key, session="session", capacity=10, facts=facts)
    await tx.execute(
        "UPDATE cluster SET last_seen_at = last_seen_at - %(silent_for)s WHERE org = %(org)s AND name = %(cluster)s",
        key._asdict() | {"silent_for": silent_for},
    )
    return key


def _task_action(
    key: ActionKey,
    parent: str,
    *,
    created_at: datetime,
    created_by: str = str(DEVELOPER),
    group: str = "",
    task: str,
    version: str = "v1",
) -> NewAction:
    definition = run_definition_pb2.TaskAction()
    definition.id.org, definition.id.project, definition.id.domain = key.org, key.project, key.domain
    definition.id.name, definition.id.version = task, version
    return NewAction(
        key=key,
        parent=parent,
        kind=Kind.TASK,
        group_name=group,
        definition=definition.SerializeToString(),
        spec_digest=specs.digest(a_spec(task).SerializeToString(deterministic=True)),
        task_name=task,
        task_version=version,
        short_name=task.rpartition(".")[2],
        environment=task.rpartition(".")[0],
        input_uri=f"file:///store/{key.run}/{key.action}/inputs.pb",
        output_base=f"file:///store/{key.run_key}",
        user_retries=3,
        created_by=created_by,
        created_at=created_at,
        phase=Phase.QUEUED,
        owner=Owner.DISPATCH,
    )


async def _insert(tx: Tx, new: list[NewAction]) -> None:
    """As the product does it: with revisions, events and work."""
    locked = await runs.lock(tx, [action.key.run_key for action in new])
    for run in locked:
        mine = [action for action in new if action.key.run_key == run]
        for name in {action.task_name for action in mine if action.kind is Kind.TASK}:
            body = a_spec(name).SerializeToString(deterministic=True)
            await specs.intern(tx, run.org, {specs.digest(body): body})
        await new_actions.insert(tx, mine)
