"""The engine under test on a real database: a run to enqueue into, a cluster that leases and reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from flyteidl2.workflow import run_definition_pb2

from signalbox.access.principals import DEVELOPER
from signalbox.control import actions, leases, projects, timers
from signalbox.control.actions import Enqueue, Enqueuer, enqueue_root
from signalbox.control.hub import Hub
from signalbox.control.reports import Report, Reporter
from signalbox.control.runs import NewRun, create
from signalbox.errors import SignalboxError
from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, RunKey
from signalbox.op import RECONCILER, Kind, Op, Principal
from signalbox.rules.phases import Phase, Verdict
from signalbox.rules.roles import Role
from signalbox.rules.timers import Owner
from signalbox.store import actions as rows
from signalbox.store import clusters, runs, specs, work
from signalbox.store.db import Database
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction

RUN = RunKey("local", "flytesnacks", "development", "r1")
ROOT = ActionKey(*RUN, ROOT_ACTION)
CLUSTER = ClusterKey("local", "one")
SPEC = b"spec"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = clusters.Facts(dataproxy_endpoint="http://localhost:1", storage_prefix="file:///store", agent_version="test")
USER_ERROR = run_definition_pb2.ErrorInfo(kind=run_definition_pb2.ErrorInfo.KIND_USER, message="no").SerializeToString()


def new_action(name: str, parent: str = ROOT_ACTION, *, run: RunKey = RUN, retries: int = 0) -> NewAction:
    return NewAction(
        key=ActionKey(*run, name),
        parent=parent,
        kind=rows.Kind.TASK,
        group_name="",
        definition=b"",
        spec_digest=specs.digest(SPEC),
        task_name="main.leaf",
        task_version="v1",
        short_name="leaf",
        environment="main",
        input_uri="file:///store/inputs.pb",
        output_base="file:///store/r1",
        user_retries=retries,
        created_by="user:developer",
        created_at=NOW,
        phase=Phase.QUEUED,
        owner=Owner.DISPATCH,
        queue="",
    )


@dataclass
class Engine:
    db: Database
    hub: Hub = field(init=False)
    enqueuer: Enqueuer = field(init=False)
    stream: int = 0

    def __post_init__(self) -> None:
        self.hub = Hub(self.db.conninfo, stream_max_age=timedelta(hours=1))
        self.enqueuer = Enqueuer(self.db, self.hub)

    @property
    def user(self) -> Op:
        return Op(who=DEVELOPER, now=NOW, request_id="test", db=self.db)

    def agent(self, cluster: ClusterKey = CLUSTER) -> Op:
        roles = frozenset({Role.CLUSTER})
        who = Principal(kind=Kind.CLUSTER, subject=str(cluster), name=cluster.cluster, roles=roles, cluster=cluster)
        return Op(who=who, now=NOW, request_id="test", db=self.db)

    async def begin(self, run: RunKey = RUN, *, retries: int = 0, **facts: object) -> None:
        """A run whose root waits for a cluster, and a cluster that knows how to lease."""
        root = new_action(ROOT_ACTION, "", run=run, retries=retries)
        new = runs.NewRun(
            key=run,
            run_spec=b"",
            source=0,
            labels={},
            start_time=NOW,
            output_base="file:///store/r1",
            created_by="test",
            request_digest=b"",
            created_at=NOW,
            **facts,  # pyright: ignore[reportArgumentType]  # tests name fields of NewRun
        )
        async with self.db.transaction() as tx:
            await runs.insert(tx, new)
            await specs.intern(tx, run.org, {specs.digest(SPEC): SPEC})
            await enqueue_root(tx, root)
            await clusters.enrol(tx, CLUSTER, FACTS)

    async def create(
        self, name: str | None, *, request: bytes = b"", request_id: str = "test", **facts: object
    ) -> RunKey:
        """A run as CreateRun begins it, beside the one of `begin`."""
        await projects.ensure_default(self.db, RUN.org, [RUN.project])
        new = NewRun(
            scope=RUN.scope,
            name=name,
            spec=SPEC,
            root=new_action(ROOT_ACTION, ""),
            run_spec=b"",
            run_base="",
            source=0,
            labels={},
            start_time=NOW,
            request=request,
            **facts,  # pyright: ignore[reportArgumentType]  # tests name fields of NewRun
        )
        op = replace(self.user, request_id=request_id)
        return await create(op, self.hub, new, domains=[RUN.domain], lease_ttl=timedelta(minutes=1))

    async def enqueue(self, *children: NewAction) -> list[SignalboxError | None]:
        """From the second time on (the TaskSpec is known to be kept) by the plain path, where it takes them."""
        return await self.enqueuer.apply([Enqueue(child, SPEC) for child in children])

    async def enqueue_anew(self, *children: NewAction) -> list[SignalboxError | None]:
        """As a process that has just started: every one is decided."""
        return await Enqueuer(self.db, self.hub).apply([Enqueue(child, SPEC) for child in children])

    async def open_stream(self, *held: work.Held, session: str = "s1", capacity: int = 1000) -> int:
        """A new lease stream of the cluster; gives how many leases were taken back."""
        op = self.agent()
        self.stream = await leases.begin(op, self.hub, CLUSTER, session=session, capacity=capacity, facts=FACTS)
        return await leases.sweep(op, self.hub, held, system_retries=2)

    async def lease(self, stream: int | None = None) -> dict[str, Granted]:
        """What is granted now, by action."""
        grants = await leases.grant(self.agent(), stream=stream or self.stream, known_specs=set(), contexts={})
        assert grants is not None, "the stream is not the newest"
        return {granted.action: granted for granted in grants.granted}

    async def report(self, *reports: Report) -> list[Verdict]:
        return await Reporter(self.db, self.hub, system_retries=2).apply(list(reports))

    async def abort(self, key: ActionKey = ROOT, reason: str = "enough") -> None:
        await actions.abort(self.user, self.hub, key, reason=reason)

    async def state(self, name: str, run: RunKey = RUN) -> rows.State:
        async with self.db.autocommit() as tx:
            found = await rows.states(tx, [ActionKey(*run, name)])
        return found[ActionKey(*run, name)]

    async def look(self) -> int:
        """One pass of the timers; gives how many actions it looked at."""
        op = Op(who=RECONCILER, now=NOW, request_id="test", db=self.db)
        return await timers.check(op, self.hub, limit=1000, system_retries=2)

    async def age(self, by: timedelta) -> None:
        """Let this much time pass for all that is timed."""
        async with self.db.transaction() as tx:
            await tx.execute(
                """
                UPDATE work
                   SET since = since - %(by)s, deadline = deadline - %(by)s, next_check = next_check - %(by)s""",
                {"by": by},
            )

    async def phase(self, name: str) -> Phase:
        return (await self.state(name)).phase


def report(
    granted: Granted | work.Held,
    phase: Phase,
    *,
    epoch: int | None = None,
    cluster: ClusterKey = CLUSTER,
    **facts: object,
) -> Report:
    plain = Report(
        key=granted.key,
        cluster=cluster,
        attempt=granted.attempt,
        epoch=granted.epoch if epoch is None else epoch,
        phase=phase,
        at=NOW + timedelta(seconds=1),
        started_at=NOW,
        output_uri="file:///store/r1/x/1" if phase is Phase.SUCCEEDED else None,
        error=None,
        error_system=False,
        recoverable=False,
        log=None,
    )
    return plain._replace(**facts)  # pyright: ignore[reportArgumentType]  # tests name fields of Report


def held(granted: Granted) -> work.Held:
    return work.Held(granted.key, granted.attempt, granted.epoch)
