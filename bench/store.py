"""What the engine's store costs: enqueue, lease and report, set-wise and without RPCs, beside plain INSERTs.

The limit is taken in the same run with pgbench from the same wheel: rows a second of one plain INSERT of as many rows,
without a state model around it. Left out: RPCs, validation, the SDK, real tasks.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.processes import Postgres, cpu_seconds
from signalbox.control import leases
from signalbox.control.actions import Enqueue, Enqueuer, enqueue_root
from signalbox.control.hub import Hub
from signalbox.control.reports import Report, Reporter
from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, RunKey
from signalbox.op import Kind, Op, Principal
from signalbox.rules.phases import Phase, Verdict
from signalbox.rules.roles import Role
from signalbox.rules.timers import Owner
from signalbox.store import actions, clusters, runs, specs
from signalbox.store.db import Database
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction

REPEATS = 3
CLUSTER = ClusterKey("local", "bench")
FACTS = clusters.Facts(dataproxy_endpoint="http://localhost", storage_prefix="file:///nowhere", agent_version="bench")
SPEC = b"spec" * 400  # about what a TaskSpec of the SDK weighs
NOW = datetime.now(UTC)


def new_action(key: ActionKey, parent: str) -> NewAction:
    return NewAction(
        key=key,
        parent=parent,
        kind=actions.Kind.TASK,
        group_name="",
        definition=b"definition" * 10,
        spec_digest=specs.digest(SPEC),
        task_name="bench.leaf",
        task_version="v1",
        short_name="leaf",
        environment="bench",
        input_uri="file:///nowhere/inputs.pb",
        output_base="file:///nowhere",
        user_retries=0,
        created_by="bench",
        created_at=NOW,
        phase=Phase.QUEUED,
        owner=Owner.DISPATCH,
        request_id="bench",
        queue="",
    )


async def timed(batches: list[Callable[[], Awaitable[Any]]]) -> tuple[float, float]:
    """Wall and own CPU seconds of the batches, one after the other."""
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        await batch()
    return time.perf_counter() - wall, time.process_time() - cpu


async def begin_run(db: Database, key: RunKey) -> None:
    root = new_action(ActionKey(*key, ROOT_ACTION), "")
    run = runs.NewRun(
        key=key,
        run_spec=b"",
        source=0,
        labels={},
        start_time=NOW,
        output_base="file:///nowhere",
        created_by="bench",
        request_digest=b"",
        created_at=NOW,
    )
    async with db.transaction() as tx:
        await runs.insert(tx, run)
        await specs.intern(tx, key.org, {specs.digest(SPEC): SPEC})
        await enqueue_root(tx, root)
        await clusters.enrol(tx, CLUSTER, FACTS)


async def _engine(conninfo: str, *, number: int, count: int, batch: int) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of enqueuing, leasing and ending `count` actions of one run."""
    key = RunKey("local", "bench", "development", f"r{number}")
    async with Database(conninfo, size=4) as db:
        hub = Hub(conninfo, stream_max_age=timedelta(hours=1))
        await begin_run(db, key)
        enqueuer = Enqueuer(db, hub)
        children = [Enqueue(new_action(ActionKey(*key, f"c{i}"), ROOT_ACTION), SPEC) for i in range(count)]
        spent = {"enqueue": await timed([lambda b=b: enqueuer.apply(b) for b in chunks(children, batch)])}

        agent = Principal(
            kind=Kind.CLUSTER, subject="bench", name="bench", roles=frozenset({Role.CLUSTER}), cluster=CLUSTER
        )
        op = Op(who=agent, now=NOW, request_id="bench", db=db)
        begun = await leases.begin(op, hub, CLUSTER, session=f"s{number}", capacity=count + 10, facts=FACTS)
        stream = leases.Stream(number=begun)
        granted: list[Granted] = []

        async def lease() -> None:
            grants = await leases.grant(op, stream, ttl=timedelta(hours=1))
            assert grants is not None
            granted.extend(grants.granted)

        spent["lease"] = await timed([lease] * (count // leases.GRANT_BATCH + 1))
        assert len(granted) == count + 1 == len({g.action for g in granted}), "an attempt was granted twice, or never"

        reporter = Reporter(db, hub, system_retries=0)

        async def end(some: list[Granted]) -> None:
            assert set(await reporter.apply([succeeded(g) for g in some])) == {Verdict.ACCEPTED}

        ending = [g for g in granted if g.action != ROOT_ACTION]
        spent["report"] = await timed([lambda b=b: end(b) for b in chunks(ending, batch)])
    return spent


def succeeded(grant: Granted) -> Report:
    return Report(
        key=grant.key,
        cluster=CLUSTER,
        attempt=grant.attempt,
        epoch=grant.epoch,
        phase=Phase.SUCCEEDED,
        at=NOW,
        started_at=NOW,
        output_uri="file:///nowhere/1",
        error=None,
        error_system=False,
        recoverable=False,
        log=None,
    )


def chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def limit(conninfo: str, pgbench: Path, *, batch: int) -> float:
    """Rows a second of plain INSERTs of `batch` rows, one connection, two seconds."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS plain (id bigint, name text, body bytea)")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(
            "INSERT INTO plain SELECT i, 'name' || i, repeat('x', 100)::bytea FROM generate_series(1, :rows) i;\n"
        )
        script.flush()
        done = subprocess.run(
            [
                str(pgbench),
                "-n",
                "-c",
                "1",
                "-T",
                "2",
                "-M",
                "prepared",
                "-D",
                f"rows={batch}",
                "-f",
                script.name,
                conninfo,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    tps = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(tps.split()[2]) * batch


def measure(postgres: Postgres, *, count: int, batch: int) -> list[dict[str, Any]]:
    """Rates of the three parts, medians of `REPEATS`, each with its limit of the same minute."""
    limits: list[float] = []
    samples: list[dict[str, tuple[float, float]]] = []
    server: list[float] = []
    asyncio.run(_engine(postgres.url, number=REPEATS, count=batch, batch=batch))
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ANALYZE")  # as autovacuum does within its first minute
    for number in range(REPEATS):  # in turn, so that a slow minute concerns both
        limits.append(limit(postgres.url, postgres.binaries / "pgbench", batch=batch))
        before = cpu_seconds(postgres.pids())
        samples.append(asyncio.run(_engine(postgres.url, number=number, count=count, batch=batch)))
        server.append(cpu_seconds(postgres.pids()) - before)
    rows = statistics.median(limits)
    found: list[dict[str, Any]] = []
    for part, target in (("enqueue", None), ("lease", 30_000), ("report", 50_000)):
        rates = [count / s[part][0] for s in samples]
        found.append(
            {
                "workload": f"store: {part} in batches of {batch}",
                "unit": "/s",
                "measured": round(statistics.median(rates)),
                "all": [round(rate) for rate in rates],
                "limit": round(rows),
                "target": target,
                "held": None if target is None else statistics.median(rates) >= target,
                "service_cpu_us": round(statistics.median(s[part][1] / count * 1e6 for s in samples), 1),
            }
        )
    found[0]["database_cpu_us_of_all_three"] = round(statistics.median(server) / count * 1e6, 1)
    return found
