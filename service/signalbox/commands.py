"""The commands that operators and containers run: serve, reconcile, migrate, and what is set up beside the database."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from signalbox import ids, login, settings
from signalbox.access.principals import OPERATOR
from signalbox.control import leases, projects
from signalbox.errors import Invalid
from signalbox.ids import ClusterKey
from signalbox.op import Op
from signalbox.output import Output, answer
from signalbox.settings import Settings
from signalbox.store.db import Database
from signalbox.store.migrate import migrate as apply_migrations

T = TypeVar("T")


def serve() -> None:
    """Serve the API and the console until SIGTERM. Settings come from SIGNALBOX_* variables."""
    from signalbox import serve as service  # noqa: PLC0415  # most of a second, which the short commands need not pay

    _run(service.serve(configured()))


def reconcile() -> None:
    """Run the reconcilers (expired leases and such) until SIGTERM; any number of these may run."""
    from signalbox import serve as service  # noqa: PLC0415  # as above

    _run(service.reconcile(configured()))


def migrate(*, app_role: str | None = None, wait_seconds: int = 0, output: Output = "text") -> None:
    """Bring the database's schema up to this version, and make sure that the default projects exist.

    Any number of these may run at once: they wait for each other, and the later ones find nothing to do.

    Parameters
    ----------
    app_role
        A role that serve and reconcile log in as: made when it is missing, and given what they need and nothing else.
        Needs a login that may make roles.
    wait_seconds
        0 to 600: how long to wait for a database that is still starting.
    output
        `json` for machines.

    """
    longest = 600
    if not 0 <= wait_seconds <= longest:
        raise Invalid(f"wait_seconds: 0 to {longest}, got {wait_seconds}")
    given = configured()
    conninfo = given.database_url.get_secret_value()
    applied = apply_migrations(conninfo, app_role=app_role, wait=timedelta(seconds=wait_seconds))
    org, ids = given.default_org, given.default_projects
    _run(_with_database(given, lambda db: projects.ensure_default(db, org, ids)))
    answer(output, {"applied": applied}, f"applied: {', '.join(applied) or 'nothing, the schema is current'}")


def create_join_token(
    name: str, *, expires_in_minutes: int = 60, org: str | None = None, output: Output = "text"
) -> None:
    """Create a token with which a data plane joins as cluster NAME, once. It is shown now and never again.

    Parameters
    ----------
    name
        Of the cluster, unique in its org.
    expires_in_minutes
        1 to 1440.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    longest = 24 * 60
    if not 1 <= expires_in_minutes <= longest:
        raise Invalid(f"expires_in_minutes: 1 to {longest}, got {expires_in_minutes}")
    given = configured()
    key = ClusterKey(ids.name(org or given.default_org, what="org"), ids.name(name, what="name"))
    life = timedelta(minutes=expires_in_minutes)
    made = operate(given, lambda op: leases.create_join_token(op, key, life=life))
    facts = {"org": key.org, "cluster": key.cluster, "token": made.token, "expires_at": made.expires_at.isoformat()}
    answer(output, facts, made.token)


def configured() -> Settings:
    """The settings of this process's environment. Raises Invalid."""
    return settings.load()


def operate(given: Settings, work: Callable[[Op], Awaitable[T]]) -> T:
    """What the operator's `work` on the database gives."""

    async def run(db: Database) -> T:
        return await work(Op(who=OPERATOR, now=datetime.now(UTC), request_id=secrets.token_hex(16), db=db))

    return _run(_with_database(given, run))


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import uvloop  # noqa: PLC0415  # as above

    return uvloop.run(work)


async def _with_database(given: Settings, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async with Database(given.database_url.get_secret_value(), size=3, password=login.password(given)) as db:
        return await work(db)
