"""What stands in the way for a while: frozen processes, vanished peers, times at the edge, keys that fit nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql

from signalbox.control import leases
from signalbox.control.actions import Enqueue, Enqueuer
from signalbox.control.batch import Batch
from signalbox.control.reports import Report, Reporter
from signalbox.errors import Contended, Invalid, SignalboxError, Unavailable
from signalbox.ids import ROOT_ACTION, RunKey
from signalbox.rules.phases import Phase, Verdict
from signalbox.store import retention, runs
from signalbox.store.connection import IDLE_IN_TRANSACTION, LOCK_TIMEOUT
from signalbox.store.db import Database
from signalbox.store.dispatch import Granted
from signalbox.store.notify import CONNECTION_LOST, Channel
from support.database import Server
from support.engine import RUN, SPEC, TTL, Engine, new_action, report

FROZEN = RUN._replace(run="r2")
TOO_LONG = "".join(chr(0x4E00 + number) for number in range(8000))
"""Does not compress into an index's row."""


@asynccontextmanager
async def holding(engine: Engine, run: RunKey) -> AsyncGenerator[None]:
    """A session that froze, for ever, with the lock of the run."""
    connection = await psycopg.AsyncConnection.connect(engine.db.conninfo)
    try:
        await connection.execute("SELECT 1 FROM run WHERE name = %s FOR NO KEY UPDATE", (run.run,))
        yield
    finally:
        await connection.close()


@asynccontextmanager
async def reporting(engine: Engine) -> AsyncGenerator[Batch[Report, Verdict]]:
    reporter = Reporter(engine.db, engine.hub, system_retries=2)
    batch = Batch[Report, Verdict]("report", reporter.apply, concerns=lambda one: one.key.run_key)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(batch.run())
        yield batch
        loop.cancel()


async def roots(engine: Engine) -> dict[str, Granted]:
    """The roots of two runs, granted, by run."""
    await engine.begin(FROZEN)
    grants = await leases.grant(engine.agent(), leases.Stream(number=engine.stream), ttl=TTL)
    assert grants is not None
    return {granted.run: granted for granted in grants.granted}


async def test_a_run_that_a_frozen_session_holds_does_not_hold_up_reports_of_others(engine: Engine) -> None:
    granted = await roots(engine)
    held, free = granted["r2"], granted["r1"]

    async with holding(engine, FROZEN), reporting(engine) as batch:
        began = monotonic()
        async with asyncio.TaskGroup() as group:
            both = group.create_task(
                batch.submit_all(
                    [report(held, Phase.RUNNING), report(held, Phase.RUNNING), report(free, Phase.RUNNING)]
                )
            )
        took = monotonic() - began

    first, second, third = both.result()
    assert isinstance(first, Contended)
    assert isinstance(second, Contended)
    assert "held by others" in first.message
    assert third is Verdict.ACCEPTED
    assert took < 2 * LOCK_TIMEOUT.total_seconds() + 1


async def test_a_run_that_a_frozen_session_holds_does_not_hold_up_enqueues_into_others(engine: Engine) -> None:
    await roots(engine)
    batch = Batch[Enqueue, None](
        "enqueue", Enqueuer(engine.db, engine.hub).apply, concerns=lambda one: one.action.key.run_key
    )
    async with holding(engine, FROZEN), asyncio.TaskGroup() as group:
        loop = group.create_task(batch.run())
        held, free = await batch.submit_all(
            [Enqueue(new_action("c1", run=FROZEN), SPEC), Enqueue(new_action("c1"), SPEC)]
        )
        loop.cancel()

    assert isinstance(held, Contended)
    assert free is None
    assert await engine.phase("c1") is Phase.QUEUED


async def test_a_process_that_freezes_in_a_transaction_loses_it_and_its_locks(engine: Engine) -> None:
    async def freeze() -> None:
        async with engine.db.transaction() as tx:
            await runs.lock(tx, [RUN])
            await asyncio.sleep(IDLE_IN_TRANSACTION.total_seconds() + 1)
            await tx.execute("UPDATE run SET output_base = 'too late'")

    frozen = asyncio.create_task(freeze())
    await asyncio.sleep(IDLE_IN_TRANSACTION.total_seconds() + 0.5)

    assert await engine.enqueue(new_action("c1")) == [None]
    with pytest.raises(Unavailable):
        await frozen
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM run WHERE output_base = 'too late'")
        assert await cursor.fetchone() == (0,)


async def test_a_key_that_fits_into_no_index_is_refused_alone(engine: Engine) -> None:
    """The edge refuses it first; should one come through, it is nobody else's trouble, and no outage."""
    await engine.lease()
    bad = new_action("bad")._replace(cache_key=TOO_LONG)
    batch = Batch[Enqueue, None]("enqueue", Enqueuer(engine.db, engine.hub).apply)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(batch.run())
        enqueued: Sequence[SignalboxError | None] = await batch.submit_all(
            [Enqueue(bad, SPEC), Enqueue(new_action("good"), SPEC)]
        )
        loop.cancel()
    assert enqueued == [None, None]
    granted = await engine.lease()

    async with reporting(engine) as reports:
        outcomes = await reports.submit_all([report(granted[name], Phase.SUCCEEDED) for name in ("bad", "good")])

    assert isinstance(outcomes[0], Invalid)
    assert outcomes[1] in (Verdict.ACCEPTED, Verdict.DUPLICATE), "taken with the batch, or by itself"
    assert await engine.phase("good") is Phase.SUCCEEDED


async def test_times_at_the_edge_can_be_read_whatever_zone_the_database_is_in(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'Europe/Berlin'").format(name))
    async with Database(database_url, size=3) as db:
        engine = Engine(db)
        await engine.begin()
        await engine.open_stream()
        async with db.transaction() as tx:
            await tx.execute("UPDATE run SET start_time = '9999-12-31 23:30:00+00'")

        assert set(await engine.lease()) == {ROOT_ACTION}


async def test_who_listens_notices_that_the_other_side_is_silent(postgres: Server, database_url: str) -> None:
    del postgres
    folder = Path(parse_qs(urlsplit(database_url).query)["host"][0])
    relays: list[asyncio.Task[None]] = []
    ends: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(str(folder / ".s.PGSQL.5432"))
        for source, sink in ((reader, outer), (inner, writer)):
            relays.append(asyncio.create_task(_forward(source, sink)))
            ends.append(sink)

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    name = urlsplit(database_url).path.strip("/")
    try:
        async with Channel.open(f"postgresql://signalbox@127.0.0.1:{port}/{name}?sslmode=disable") as channel:
            hints = channel.listen(timeout=0.3)
            assert await anext(hints) is None, "quiet, and the server answers"

            for task in relays:  # the host is gone: nothing is closed, and nothing comes any more
                task.cancel()

            with pytest.raises(CONNECTION_LOST):
                async with asyncio.timeout(30):
                    await anext(hints)
    finally:
        proxy.close()
        for end in ends:
            end.transport.abort()


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


async def test_a_schema_of_another_version_is_said_in_words(db: Database) -> None:
    """As a command of a new version meets it before its migration."""
    async with db.transaction() as tx:
        await tx.execute("DROP VIEW expired_run")

    with pytest.raises(Unavailable, match="the database's schema is not of this version"):
        async with db.autocommit() as tx:
            await retention.expired(tx, "local", limit=1)
