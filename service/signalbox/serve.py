"""The only wiring point: settings in, a running service out."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox import console, errors, login
from signalbox.access.principals import Authenticator
from signalbox.api import interceptors, unserved
from signalbox.api.actions import Actions
from signalbox.api.cache import Cache
from signalbox.api.clusters import Clusters
from signalbox.api.identity import Identity
from signalbox.api.interceptors import Gate, Handlers
from signalbox.api.link import Link
from signalbox.api.permissions import SERVED, Open, reason_unserved, services
from signalbox.api.projects import Projects
from signalbox.api.run_views import RunViews
from signalbox.api.runs import Runs
from signalbox.api.tasks import Tasks
from signalbox.control.actions import Enqueue, Enqueuer
from signalbox.control.batch import Batch
from signalbox.control.hub import Hub
from signalbox.control.reports import Report, Reporter
from signalbox.log import logger
from signalbox.reconcile import driver
from signalbox.rules.phases import Verdict
from signalbox.settings import Auth, Settings
from signalbox.store.db import Database
from signalbox.store.migrate import is_current
from signalbox.tls import certificate_files
from signalbox_wire.connect import ServiceApplication
from signalbox_wire.loopback import LoopbackHosts

_log = logger("serve")
_GRACEFUL_SECONDS = 5
_HOT = ("flyteidl2.actions.ActionsService", "signalbox.cluster.v1.ClusterLinkService")
_READY_SECONDS = 3  # a load balancer gives up after 5
_STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What lives as long as the process."""

    settings: Settings
    db: Database
    hub: Hub
    enqueues: Batch[Enqueue, None]
    reports: Batch[Report, Verdict]


@asynccontextmanager
async def parts(settings: Settings) -> AsyncGenerator[Parts]:
    """Everything that a service process needs, running until the block ends."""
    conninfo, password = settings.database_url.get_secret_value(), login.password(settings)
    async with Database(conninfo, size=settings.database_pool, password=password) as db:
        hub = Hub(conninfo, stream_max_age=settings.stream_max_age, password=password)
        reporter = Reporter(db, hub, system_retries=settings.system_retries)
        made = Parts(
            settings=settings,
            db=db,
            hub=hub,
            enqueues=Batch("enqueue", Enqueuer(db, hub).apply, concerns=lambda enqueue: enqueue.action.key.run_key),
            reports=Batch("report", reporter.apply, concerns=lambda report: report.key.run_key),
        )
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(loop) for loop in (hub.run(), made.enqueues.run(), made.reports.run())]
            try:
                yield made
            finally:
                for task in background:
                    task.cancel()


class _Front:
    """RPCs go straight to their service: a router that tries route after route costs a tenth of an Enqueue."""

    def __init__(self, services: Sequence[ServiceApplication], rest: ASGIApp) -> None:
        self._services = {service.path: service for service in services}
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._services.get(scope["path"].rpartition("/")[0]) if scope["type"] == "http" else None
        await (service or self._rest)(scope, receive, send)


def application(made: Parts) -> ASGIApp:
    """The service as an ASGI application: API, console, health and metrics on the same addresses."""
    gate = Gate(
        db=made.db,
        authenticator=Authenticator(made.settings, made.db),
        default_org=made.settings.default_org,
    )

    async def ready(_: Request) -> Response:
        try:
            async with asyncio.timeout(_READY_SECONDS), made.db.autocommit() as tx:
                reason = None if await is_current(tx) else "the database's schema is not of this version yet"
        except errors.Unavailable as e:
            reason = e.message
        except TimeoutError:
            reason = f"the database has not answered for {_READY_SECONDS} s"
        if made.hub.draining:
            reason = "the process is about to stop"
        return JSONResponse({"ready": not reason} | ({"reason": reason} if reason else {}), 503 if reason else 200)

    async def alive(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    routes: list[BaseRoute] = [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics)]
    routes += console.routes(made.db, gate.authenticator, made.hub, made.settings)
    pages = Starlette(routes=routes, exception_handlers={404: unserved.not_found})
    front = _Front(rpcs(_handlers(made), gate, made.settings), pages)
    return LoopbackHosts(front) if made.settings.auth is Auth.DEVELOPMENT else front


def rpcs(handlers: Handlers, gate: Gate, settings: Settings) -> list[ServiceApplication]:
    """An application for each service of the API; what is not served answers why. Every RPC passes the gate."""
    if forgotten := set(SERVED) ^ set(handlers):
        raise RuntimeError(f"served without a handler, or handled and not served: {sorted(forgotten)}")
    made: list[ServiceApplication] = []
    for service in services():
        wrapped: dict[str, Any] = {}
        for method in service.methods:
            rpc = f"{service.full_name}/{method.name}"
            reason = reason_unserved(service.full_name, method.name)
            handler = handlers.get(rpc) or unserved.handler(reason or "", stream=method.server_streaming)
            rule = SERVED.get(rpc, Open.UNSERVED)
            wrapped[method.name] = interceptors.guarded(rpc, rule, handler, gate, streams=method.server_streaming)
        hot = service.full_name in _HOT
        made.append(ServiceApplication(service, wrapped, read_max_bytes=settings.request_limit_bytes, hot=hot))
    return made


def _handlers(made: Parts) -> Handlers:
    hub, settings = made.hub, made.settings
    return {
        **Actions(made.enqueues, made.reports, hub, settings).handlers(),
        **Cache(settings).handlers(),
        **Clusters(settings).handlers(),
        **Identity().handlers(),
        **Link(made.reports, hub, settings).handlers(),
        **Projects(settings).handlers(),
        **RunViews(hub, settings).handlers(),
        **Runs(hub, settings).handlers(),
        **Tasks(settings).handlers(),
    }


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; streams end cleanly first. Raises Invalid or Conflict before anything is open."""
    settings.check_exposure()
    # What is loaded by now stays for good: looking through it again and again costs a twentieth of a busy process.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    sockets = _listen(settings.addresses)
    try:
        async with parts(settings) as made:
            with certificate_files(settings) as files:
                await _Server(made, sockets, files).serve(sockets=list(sockets))
    finally:
        for listening in sockets:
            listening.close()


async def reconcile(settings: Settings) -> None:
    """Run the reconcilers until SIGTERM or SIGINT."""
    conninfo, password = settings.database_url.get_secret_value(), login.password(settings)
    async with Database(conninfo, size=3, password=password) as db, asyncio.TaskGroup() as group:
        hub = Hub(conninfo, stream_max_age=settings.stream_max_age, password=password)
        loops = [group.create_task(hub.run()), group.create_task(driver.run(db, hub, settings))]
        for number in _STOPS:
            asyncio.get_running_loop().add_signal_handler(number, _cancel, loops)


def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


class _Server(uvicorn.Server):
    def __init__(self, made: Parts, sockets: Sequence[socket.socket], tls: tuple[Path, Path] | None) -> None:
        super().__init__(
            uvicorn.Config(
                application(made),
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,  # nothing asks for the client's address; it would cost each request and watch
                server_header=False,
                timeout_graceful_shutdown=_GRACEFUL_SECONDS,
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=tls[1] if tls else None,
            )
        )
        self._made = made
        self._sockets = sockets

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn's own, but a stop that was asked for is a success: the signal is not raised again afterwards."""
        loop = asyncio.get_running_loop()
        for number in _STOPS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOPS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in self._sockets:
            host, port = listening.getsockname()[:2]
            _log.info("listening", host=host, port=port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._made.hub.drain()
        await super().shutdown(sockets)


def _listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """A socket for each address. Raises Conflict for one that is taken; then none is open."""
    opened: list[socket.socket] = []
    for host, port in addresses:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as e:
            listening.close()
            for other in opened:
                other.close()
            raise errors.Conflict(f"cannot listen on {host}:{port}: {e.strerror}") from e
        opened.append(listening)
    return opened
