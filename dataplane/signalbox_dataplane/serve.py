"""The only wiring point: one process that is agent and dataproxy. Starts everything, and ends it in order.

Order of the end: no more grants, stop what runs (nothing of it is reported, so that it is granted again), deliver what
had ended, end log streams, close the listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import structlog
import uvicorn

from signalbox_dataplane.control_plane import ClusterLink, Directory
from signalbox_dataplane.dataproxy.action_data import ActionData
from signalbox_dataplane.dataproxy.app import application
from signalbox_dataplane.dataproxy.objects import Objects
from signalbox_dataplane.dataproxy.tail import LogTail
from signalbox_dataplane.dataproxy.uploads import Uploads
from signalbox_dataplane.errors import FAILED, UNAVAILABLE, Exit
from signalbox_dataplane.executor.environment import TaskPlatform
from signalbox_dataplane.executor.guardian import Guardian, guardian
from signalbox_dataplane.executor.process import ProcessExecutor
from signalbox_dataplane.executor.sleep import SleepExecutor
from signalbox_dataplane.executor.slots import Slots
from signalbox_dataplane.executor.task_log import TaskLogs
from signalbox_dataplane.link.fence import Fence
from signalbox_dataplane.link.held import Attempts
from signalbox_dataplane.link.identity import Identity
from signalbox_dataplane.link.reports import Reports
from signalbox_dataplane.link.session import Session
from signalbox_dataplane.settings import PREFIX, Settings
from signalbox_dataplane.store import ObjectStore
from signalbox_dataplane.store.file import FileStore
from signalbox_dataplane.store.signing import UrlSigner, signing_key
from signalbox_wire.cluster.v1.cluster_pb2 import ClusterFacts

LAST_WORDS = 2.0
"""Seconds to deliver reports at the end."""
log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Exit for whatever else ends it."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with _state(settings.state_dir), _listening(settings) as listener:
        async with guardian() as guard:
            try:
                await _run(settings, listener, guard, stop)
            except* Exit as ends:
                raise _first(ends) from None


async def _run(settings: Settings, listener: socket.socket, guard: Guardian, stop: asyncio.Event) -> None:
    endpoint = settings.public_endpoint or f"http://localhost:{listener.getsockname()[1]}"
    signer = UrlSigner(endpoint, signing_key(settings.state_dir / "signing-key"))
    store = _store(settings, signer)
    facts = ClusterFacts(
        dataproxy_endpoint=endpoint, storage_prefix=store.prefix, agent_version=version("signalbox-dataplane")
    )
    logs, slots, fence = TaskLogs(settings.state_dir / "logs", store), Slots(settings.max_processes), Fence()
    link = ClusterLink(settings.control_plane)
    identity = Identity(
        link,
        settings.state_dir / "credential.json",
        control_plane=settings.control_plane,
        facts=facts,
        token=settings.token,
    )
    session = Session(link, identity, fence, facts, settings.capacity)
    reports = Reports(link, fence, session)
    stopping = asyncio.Event()
    server = _server(settings, store, signer, logs, stopping)
    process = ProcessExecutor(
        store=store,
        platform=_platform(settings),
        slots=slots,
        logs=logs,
        guardian=guard,
        work_dir=settings.state_dir / "work",
    )
    async with asyncio.TaskGroup() as group:
        attempts = Attempts(group, reports, slots, process=process, sleep=SleepExecutor(store))
        session.bind(reports, attempts)
        serving = group.create_task(server.serve(sockets=[listener]))
        leasing = group.create_task(session.lease_for_ever())
        others = [
            group.create_task(each)
            for each in (
                _renewing(session, identity),
                session.fence_for_ever(),
                session.until_replaced(),
                reports.send_for_ever(),
                _announce(server, session, identity, endpoint),
                _guarded(guard),
            )
        ]
        await stop.wait()
        log.info("stopping", held=len(attempts.refs()))
        stopping.set()
        leasing.cancel()
        await attempts.stop_running()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await reports.flushed()
        server.should_exit = True
        await asyncio.wait([serving])
        for task in others:
            task.cancel()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the process's, not the listener's: it ends last but one."""
        yield


def _server(
    settings: Settings, store: ObjectStore, signer: UrlSigner, logs: TaskLogs, stopping: asyncio.Event
) -> _Server:
    directory = Directory(settings.control_plane)
    objects = Objects(store, signer, limit_bytes=settings.upload_limit_bytes) if isinstance(store, FileStore) else None
    app = application(
        Uploads(store, directory), ActionData(store, directory), LogTail(store, directory, logs, stopping), objects
    )
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    return _Server(config)


def _store(settings: Settings, signer: UrlSigner) -> ObjectStore:
    if settings.storage.startswith("file://"):
        return FileStore(settings.storage, signer)
    from signalbox_dataplane.store.s3 import S3Store  # noqa: PLC0415  # boto3 is slow to import, most starts need none

    return S3Store(settings.storage, endpoint_url=settings.s3_endpoint_url)


def _platform(settings: Settings) -> TaskPlatform:
    return TaskPlatform(
        control_plane=settings.task_control_plane or settings.control_plane,
        runtime_bin=settings.runtime_bin,
        storage=settings.storage,
        s3_endpoint_url=settings.s3_endpoint_url,
    )


async def _renewing(session: Session, identity: Identity) -> None:
    await session.linked.wait()
    await identity.keep_renewed()


async def _announce(server: _Server, session: Session, identity: Identity, endpoint: str) -> None:
    await session.linked.wait()
    while not server.started:  # noqa: ASYNC110  # uvicorn offers no event for it
        await asyncio.sleep(0.01)
    ready = {"event": "ready", "cluster": identity.cluster, "endpoint": endpoint, "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


async def _guarded(guard: Guardian) -> None:
    await guard.ended()
    raise Exit(FAILED, "the guardian process is gone: without it tasks could outlive this process")


@contextmanager
def _listening(settings: Settings) -> Generator[socket.socket]:
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise Exit(UNAVAILABLE, f"{PREFIX}LISTEN: cannot listen on {settings.listen}: {error.strerror}") from error
        yield listener


@contextmanager
def _state(directory: Path) -> Generator[None]:
    """The state directory, owner-only and this process's alone; work of an earlier process is removed."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Exit(UNAVAILABLE, f"{PREFIX}STATE_DIR: another data plane uses {directory}") from error
        shutil.rmtree(directory / "work", ignore_errors=True)
        yield


def _first(ends: ExceptionGroup[Exit]) -> Exit:
    found = ends.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
