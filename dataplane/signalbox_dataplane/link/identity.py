"""Who this cluster is: enrolled once with a join token, then kept by a credential that is renewed at half its life.

The credential lies in the state directory, owner-only, replaced whole: a crash leaves the old or the new one.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from connectrpc.errors import ConnectError

from signalbox_dataplane.backoff import until_answered
from signalbox_dataplane.control_plane import CREDENTIAL_REFUSED, ClusterLink
from signalbox_dataplane.errors import REFUSED, USAGE, Exit
from signalbox_wire.cluster.v1.cluster_pb2 import ClusterFacts, Credential
from signalbox_wire.connect import Code

SHORTEST_RENEWAL = 1.0
TOKEN_REFUSED = (*CREDENTIAL_REFUSED, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION)
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolled:
    """Content of the credential file. Times are UTC, RFC 3339."""

    control_plane: str
    org: str
    cluster: str
    token: str
    obtained_at: str
    expires_at: str

    def renew_in(self, now: datetime) -> float:
        """Seconds until half of the credential's life is over; 0 when it is."""
        obtained, expires = datetime.fromisoformat(self.obtained_at), datetime.fromisoformat(self.expires_at)
        return max(0.0, ((expires - obtained) / 2 + obtained - now).total_seconds())


class Identity:
    """The cluster's name and credential, and how both are got."""

    def __init__(
        self, link: ClusterLink, path: Path, *, control_plane: str, facts: ClusterFacts, token: Callable[[], str | None]
    ) -> None:
        self._link = link
        self._path = path
        self._control_plane = control_plane
        self._facts = facts
        self._join_token = token
        self._enrolled = _load(path, control_plane)
        if self._enrolled:
            link.credential = self._enrolled.token

    @property
    def cluster(self) -> str:
        return self._enrolled.cluster if self._enrolled else ""

    async def ensure(self) -> None:
        """Enrol unless that was done. Waits for an absent control plane. Raises Exit when the join token is refused."""
        if self._enrolled is None:
            await self._enrol("no credential yet")

    async def refused(self, why: ConnectError) -> None:
        """The control plane does not take the credential: enrol again. Raises Exit without a valid join token."""
        self._enrolled = None
        self._link.credential = None
        await self._enrol(f"the control plane refused this cluster's credential: {why.message}")

    async def keep_renewed(self) -> None:
        """Renew for ever; failures are tried again until the credential is refused, which the lease then notices."""
        while True:
            await asyncio.sleep(self._next_renewal())
            reply = await until_answered(
                self._link.renew, lambda e: log.warning("renewal_failed", code=e.code.value, error=e.message)
            )
            if self._enrolled is not None:
                self._keep(self._enrolled.org, self._enrolled.cluster, reply.credential)
                log.info("credential_renewed", expires_at=self._enrolled.expires_at)

    def _next_renewal(self) -> float:
        wait = self._enrolled.renew_in(datetime.now(UTC)) if self._enrolled else 0.0
        return max(wait, SHORTEST_RENEWAL)

    async def _enrol(self, why: str) -> None:
        token = self._join_token()
        if token is None:
            raise Exit(REFUSED, f"{why}, and there is no join token to enrol with: set SIGNALBOX_DATAPLANE_JOIN_TOKEN")

        def failed(error: ConnectError) -> None:
            if error.code in TOKEN_REFUSED:
                raise Exit(REFUSED, f"{why}; enrolling with the join token was refused: {error.message}") from error
            log.warning("enrolment_waits", code=error.code.value, error=error.message)

        reply = await until_answered(lambda: self._link.enroll(token, self._facts), failed)
        self._keep(reply.org, reply.cluster, reply.credential)
        log.info("enrolled", org=reply.org, cluster=reply.cluster)

    def _keep(self, org: str, cluster: str, credential: Credential) -> None:
        self._enrolled = Enrolled(
            control_plane=self._control_plane,
            org=org,
            cluster=cluster,
            token=credential.token,
            obtained_at=datetime.now(UTC).isoformat(),
            expires_at=credential.expires_at.ToDatetime(UTC).isoformat(),
        )
        self._link.credential = credential.token
        _write(self._path, json.dumps(asdict(self._enrolled)))


def _load(path: Path, control_plane: str) -> Enrolled | None:
    """The stored credential, if it is one of this control plane."""
    try:
        enrolled = Enrolled(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise Exit(USAGE, f"{path} is no credential file ({error}): remove it to enrol anew") from error
    return enrolled if enrolled.control_plane == control_plane else None


def _write(path: Path, content: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".credential-")  # made with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
