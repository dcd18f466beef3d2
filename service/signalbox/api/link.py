"""The cluster link: enrolment, lease streams and reports of data planes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from time import monotonic

from flyteidl2.task import run_pb2, task_definition_pb2

from signalbox.api import reports, wire
from signalbox.api.interceptors import Handlers
from signalbox.control import leases
from signalbox.control.batch import Batch
from signalbox.control.hub import Hub, cluster_topic, freed_topic, room_topic, work_topic
from signalbox.control.reports import Report
from signalbox.control.silence import Silence
from signalbox.errors import Invalid
from signalbox.ids import ClusterKey
from signalbox.op import Op
from signalbox.rules import names, texts
from signalbox.rules.phases import Verdict
from signalbox.settings import Settings
from signalbox.store import clusters, dispatch, outbox, work
from signalbox_wire.cluster.v1 import cluster_pb2 as pb

_SERVICE = "signalbox.cluster.v1.ClusterLinkService"
_LARGEST_REPORT = 5000
_HEARD_FOR = 0.5  # seconds, far below the lease's


class Link:
    def __init__(self, batch: Batch[Report, Verdict], hub: Hub, settings: Settings) -> None:
        self._batch = batch
        self._hub = hub
        self._settings = settings
        self._heard: dict[ClusterKey, tuple[float, str]] = {}
        # Claims of an org wait for each other: here, not with one of the pool's connections in hand.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def handlers(self) -> Handlers:
        return {
            f"{_SERVICE}/Enroll": self.enroll,
            f"{_SERVICE}/Renew": self.renew,
            f"{_SERVICE}/Lease": self.lease,
            f"{_SERVICE}/Report": self.report,
        }

    async def enroll(self, op: Op, request: pb.EnrollRequest) -> pb.EnrollResponse:
        credential = await leases.enrol(
            op, request.join_token, _facts(request.facts), life=self._settings.credential_life
        )
        cluster = credential.cluster
        return pb.EnrollResponse(org=cluster.org, cluster=cluster.cluster, credential=_credential(credential))

    async def renew(self, op: Op, request: pb.RenewRequest) -> pb.RenewResponse:
        del request
        return pb.RenewResponse(credential=_credential(await leases.renew(op, life=self._settings.credential_life)))

    async def lease(self, op: Op, request: pb.LeaseRequest) -> AsyncIterator[pb.LeaseResponse]:
        cluster = leases.caller(op)
        if not wire.text(request.session_id, what="session_id", longest=texts.NAME):
            raise Invalid("session_id: needed")
        with self._hub.subscribe(work_topic(cluster.org), cluster_topic(cluster)) as subscription:
            number = await leases.begin(
                op,
                self._hub,
                cluster,
                session=request.session_id,
                capacity=request.capacity,
                facts=_facts(request.facts),
            )
            held = [work.Held(wire.action_key(r.action_id), r.attempt, r.epoch) for r in request.held]
            await leases.sweep(op, self._hub, held, system_retries=self._settings.system_retries)
            yield self._progress()
            silence = Silence(self._settings.progress_every)
            told = 0
            stream = leases.Stream(number=number)
            look_for_aborts = True
            while True:
                async with self._turns[cluster.org]:
                    grants = await leases.grant(op, stream, ttl=self._settings.lease_ttl)
                if grants is None:
                    return  # a newer stream of this cluster has taken over
                if grants.granted:
                    yield pb.LeaseResponse(grants=_grants(grants))
                further = look_for_aborts
                while further and (aborts := await leases.aborts(op, after=told)):
                    told = aborts[-1].id
                    yield pb.LeaseResponse(aborts=_aborts(aborts))
                    further = len(aborts) == leases.ABORT_BATCH
                if silence.is_due:  # also between grants: what was told and has not happened is told again
                    yield self._progress()
                    silence.broken()
                    told, look_for_aborts = 0, True
                    continue
                more = len(grants.granted) == leases.GRANT_BATCH
                if more or (grants.full and subscription.also(room_topic(cluster))):
                    continue
                if grants.limited and subscription.also(freed_topic(cluster.org)):
                    continue
                await subscription.changed(within=silence.left)
                look_for_aborts = cluster_topic(cluster) in subscription.woken

    async def report(self, op: Op, request: pb.ReportRequest) -> pb.ReportResponse:
        cluster = leases.caller(op)
        if len(request.reports) > _LARGEST_REPORT:
            raise Invalid(f"reports: at most {_LARGEST_REPORT}, got {len(request.reports)}")
        if not await self._is_current(op, cluster, request.session_id):
            return pb.ReportResponse(outcomes=[pb.OUTCOME_STALE_EPOCH] * len(request.reports), session_current=False)
        limit = self._settings.error_limit_bytes
        return await reports.take(op, cluster, request.reports, self._batch, error_limit=limit)

    async def _is_current(self, op: Op, cluster: ClusterKey, session: str) -> bool:
        """Whether the session is the cluster's newest, asked at most twice a second: epochs are what fences reports."""
        asked, known = self._heard.get(cluster, (0.0, ""))
        if known == session and monotonic() - asked < _HEARD_FOR:
            return True
        current = await leases.heard_of(op, session=session)
        if current:
            self._heard[cluster] = (monotonic(), session)
        return current

    def _progress(self) -> pb.LeaseResponse:
        progress = pb.Progress()
        progress.fence_after.FromTimedelta(self._settings.fence_after)
        progress.report_every.FromTimedelta(self._settings.report_every)
        return pb.LeaseResponse(progress=progress)


def _facts(facts: pb.ClusterFacts) -> clusters.Facts:
    for field in ("dataproxy_endpoint", "storage_prefix"):
        if "://" not in wire.text(getattr(facts, field), what=f"facts.{field}", longest=texts.URI):
            raise Invalid(f"facts.{field}: a URI with its scheme, got {getattr(facts, field)!r}")
    return clusters.Facts(
        dataproxy_endpoint=facts.dataproxy_endpoint,
        storage_prefix=facts.storage_prefix,
        agent_version=wire.text(facts.agent_version, what="facts.agent_version", longest=texts.NAME),
    )


def _credential(credential: leases.Credential) -> pb.Credential:
    message = pb.Credential(token=credential.token)
    message.expires_at.FromDatetime(credential.expires_at)
    return message


def _grants(grants: leases.Grants) -> pb.Grants:
    message = pb.Grants()
    for digest, body in grants.specs.items():
        message.task_specs.add(digest=digest, spec=task_definition_pb2.TaskSpec.FromString(body))
    for key, context in grants.runs.items():
        entry = message.runs.add(run_id=wire.run_id(key), run_spec=run_pb2.RunSpec.FromString(context.run_spec))
        entry.run_start_time.FromDatetime(context.start_time)
    for granted in grants.granted:
        message.grants.add(
            ref=_ref(granted),
            parent_action_name=granted.parent,
            group=granted.group_name,
            task_spec_digest=granted.spec_digest,
            input_uri=granted.input_uri,
            run_output_base=granted.output_base,
            output_uri=names.attempt_output_uri(granted.output_base, granted.key, granted.attempt),
            previous_output_uri=_previous(granted),
        )
    return message


def _previous(granted: dispatch.Granted) -> str:
    if granted.attempt == 1:
        return ""
    return names.attempt_output_uri(granted.output_base, granted.key, granted.attempt - 1)


def _aborts(aborts: Sequence[outbox.Abort]) -> pb.Aborts:
    return pb.Aborts(aborts=[pb.Abort(ref=_ref(abort), reason=abort.reason) for abort in aborts])


def _ref(held: dispatch.Granted | outbox.Abort) -> pb.AttemptRef:
    return pb.AttemptRef(action_id=wire.action_id(held.key), attempt=held.attempt, epoch=held.epoch)
