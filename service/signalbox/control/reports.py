"""Reports of clusters, applied set-wise: one commit for all that arrived together.

Every report is answered in words of its own and none is an error: an agent that hears that its report counts no more
must stop the attempt, not try again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from signalbox.control import endings
from signalbox.control.actions import cascade, publish
from signalbox.control.hub import Hub, ended_topic, freed_topic, room_topic, run_topic
from signalbox.control.journal import Journal
from signalbox.ids import ActionKey, ClusterKey
from signalbox.metrics import REPORTS
from signalbox.rules import attempts, names
from signalbox.rules.phases import TERMINAL, Lease, Now, Phase, Reported, Verdict, judge
from signalbox.store import actions, clock, plain_reports, runs
from signalbox.store.actions import State
from signalbox.store.cluster_events import NewClusterEvent
from signalbox.store.db import Database
from signalbox.store.plain_reports import PlainReport


class Report(NamedTuple):
    """`epoch` None: of the lease now in force (callers that do not know epochs). `error`: serialized ErrorInfo.

    `at` and `started_at` are of the cluster's clock: they count for its action alone. `cluster_events`: when each
    occurred, and it as a serialized ClusterEvent.
    """

    key: ActionKey
    cluster: ClusterKey
    attempt: int
    epoch: int | None
    phase: Phase
    at: datetime
    started_at: datetime | None
    output_uri: str | None
    error: bytes | None
    error_system: bool
    recoverable: bool
    log: bytes | None
    cluster_events: Sequence[tuple[datetime, bytes]] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the report itself asks for no decision: it runs, or it succeeded and says where its outputs are."""
        return (
            self.epoch is not None
            and self.error is None
            and not self.recoverable
            and not self.cluster_events
            and self.key.org == self.cluster.org
            and self.phase is (Phase.SUCCEEDED if self.output_uri else Phase.RUNNING)
        )


class Reporter:
    def __init__(self, db: Database, hub: Hub, *, system_retries: int) -> None:
        self._db = db
        self._hub = hub
        self._system_retries = system_retries

    async def apply(self, reports: Sequence[Report]) -> list[Verdict]:
        """What became of each, in order."""
        taken = await self._take_plain(reports)
        rest = [report for place, report in enumerate(reports) if place not in taken] if taken else reports
        decided = iter(await self._decide(rest) if rest else [])
        verdicts = [Verdict.ACCEPTED if place in taken else next(decided) for place in range(len(reports))]
        self._hub.publish({room_topic(report.cluster) for report in reports if report.phase in TERMINAL})
        for verdict, count in Counter(verdicts).items():
            REPORTS.labels(verdict).inc(count)
        return verdicts

    async def _take_plain(self, reports: Sequence[Report]) -> set[int]:
        """Places of the reports that were taken without anything to decide."""
        often = Counter(report.key for report in reports)
        plain: defaultdict[ClusterKey, list[int]] = defaultdict(list)
        for place, report in enumerate(reports):
            if report.is_plain and often[report.key] == 1:
                plain[report.cluster].append(place)
        taken: set[int] = set()
        for cluster, places in sorted(plain.items()):
            async with self._db.autocommit() as tx:
                done = await plain_reports.take(tx, cluster, [_plain(reports[place]) for place in places])
            accepted = [reports[places[index - 1]] for index in done]
            taken.update(places[index - 1] for index in done)
            # Now, as these are committed: those of another cluster may fail.
            self._hub.publish(run_topic(report.key.run_key) for report in accepted)
            over = {report.key.run_key for report in accepted if report.phase in TERMINAL}
            self._hub.publish(ended_topic(run) for run in over)
            self._hub.publish(freed_topic(run.org) for run in over)
        return taken

    async def _decide(self, reports: Sequence[Report]) -> list[Verdict]:
        async with self._db.transaction() as tx:
            locking = await runs.send_lock(tx, [report.key.run_key for report in reports])
            looking = await actions.send_states(tx, list(dict.fromkeys(report.key for report in reports)))
            now = await clock.now(tx)
            journal = Journal(await runs.fetch_locked(locking), now=now)
            journal.know(await actions.fetch_states(looking))
            verdicts = [self._apply_one(journal, report) for report in reports]
            await cascade(tx, journal)
        publish(self._hub, journal)
        return verdicts

    def _apply_one(self, journal: Journal, report: Report) -> Verdict:
        report = _not_of_the_future(report, now=journal.now)
        state = journal.state(report.key)
        if state is not None and report.key.org != report.cluster.org:
            state = None  # another org's action: for this cluster it does not exist
        epoch = report.epoch if report.epoch is not None else _epoch_in_force(state)
        verdict = judge(
            None if state is None else _now(state),
            Reported(cluster=report.cluster.cluster, attempt=report.attempt, epoch=epoch, phase=report.phase),
        )
        if state is None:
            return verdict
        if verdict in (Verdict.ACCEPTED, Verdict.DUPLICATE) and report.cluster_events:
            journal.note([NewClusterEvent(report.key, report.attempt, *event) for event in report.cluster_events])
        if verdict is Verdict.TERMINAL_ALREADY:
            journal.refuse(state, report.phase, epoch=epoch, cluster=report.cluster.cluster, at=report.at)
        if verdict is Verdict.ACCEPTED:
            self._accept(journal, state, report, epoch)
        return verdict

    def _accept(self, journal: Journal, state: State, report: Report, epoch: int) -> None:
        aborting = state.abort_requested_at is not None
        phase = attempts.ended_as(report.phase, abort_requested=aborting, timeout=state.timeout_cause)
        output_uri = report.output_uri
        if phase is Phase.SUCCEEDED and not output_uri:
            # The SDK takes a success without one for an error of ours; it is the folder that the grant named.
            output_uri = names.attempt_output_uri(state.output_base, state.key, state.attempt)
        error = endings.timed_out(state) if phase is Phase.TIMED_OUT and report.error is None else report.error
        moved = journal.move(
            state,
            phase,
            epoch=epoch,
            at=report.at,
            cluster=report.cluster.cluster,
            output_uri=output_uri,
            error=error,
            error_recoverable=report.recoverable,
            log=report.log,
            started_at=report.started_at,
        )
        if phase in TERMINAL:
            endings.follow(
                journal,
                state,
                moved,
                recoverable=report.recoverable,
                system=report.error_system,
                system_retries=self._system_retries,
            )


def _plain(report: Report) -> PlainReport:
    return PlainReport(
        report.key, report.attempt, report.epoch or 0, report.at, report.started_at, report.output_uri, report.log
    )


def _not_of_the_future(report: Report, *, now: datetime) -> Report:
    """Its times are those of its cluster's clock, which may be ahead of the database's."""
    started_at = report.started_at and min(report.started_at, now)
    return report._replace(at=min(report.at, now), started_at=started_at)


def _epoch_in_force(state: State | None) -> int:
    if state is None:
        return 0
    return state.live.epoch if state.live is not None and state.live.cluster is not None else state.epoch


def _now(state: State) -> Now:
    live, lease = state.live, None
    if live is not None and live.cluster is not None:
        lease = Lease(cluster=live.cluster, attempt=state.attempt, epoch=live.epoch)
    return Now(phase=state.phase, attempt=state.attempt, epoch=state.epoch, lease=lease)
