"""From the headers of a request to a proven caller.

A cluster shows its credential. In this version everybody else who reaches the (loopback) port is the developer: see
`Settings.check_exposure`, which refuses that on any other address.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

from signalbox.errors import Unauthenticated
from signalbox.op import Kind, Principal
from signalbox.rules.roles import Role
from signalbox.settings import Auth, Settings
from signalbox.store import clusters
from signalbox.store.db import Database

_KNOWN_FOR = 2.0

ANONYMOUS = Principal(kind=Kind.USER, subject="anonymous", name="Anonymous", roles=frozenset())

DEVELOPER = Principal(
    kind=Kind.USER,
    subject="developer",
    name="Local Developer",
    email="developer@localhost",
    roles=frozenset({Role.ADMIN}),
)

OPERATOR = Principal(
    kind=Kind.INTERNAL,
    subject="operator",
    name="Operator at the command line",
    roles=frozenset({Role.ADMIN}),
)
"""Who runs `signalbox` beside the database: whoever holds its credentials may do anything anyway."""


class Authenticator:
    """A cluster's credential is looked up at most once in `_KNOWN_FOR` seconds: a cluster reports a hundred times a
    second, and a credential that is withdrawn is refused that much later at most.
    """

    def __init__(self, settings: Settings, db: Database) -> None:
        self._auth = settings.auth
        self._db = db
        self._known: dict[bytes, tuple[float, Principal]] = {}

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """Who calls. Raises Unauthenticated for a credential that is not valid, and for none where one is needed."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if token:
            if scheme.lower() != "bearer":
                raise Unauthenticated("authorization: 'Bearer <token>' expected")
            return await self._cluster(token)
        if self._auth is Auth.DEVELOPMENT:
            return DEVELOPER
        raise Unauthenticated("a credential is needed")

    async def _cluster(self, token: str) -> Principal:
        digest = clusters.token_hash(token)
        until, principal = self._known.get(digest, (0.0, ANONYMOUS))
        if monotonic() < until:
            return principal
        self._known.pop(digest, None)
        async with self._db.autocommit() as tx:
            cluster = await clusters.by_credential(tx, token)
        if cluster is None:
            raise Unauthenticated("the credential is unknown or expired")
        principal = Principal(
            kind=Kind.CLUSTER,
            subject=str(cluster),
            name=cluster.cluster,
            roles=frozenset({Role.CLUSTER}),
            cluster=cluster,
        )
        self._known = {d: entry for d, entry in self._known.items() if entry[0] > monotonic()}
        self._known[digest] = (monotonic() + _KNOWN_FOR, principal)
        return principal
