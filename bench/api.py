"""The API process by itself: durable Enqueue over HTTP, overload, idleness, memory, watches, and two replicas."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
from flyteidl2.actions import actions_service_pb2

from bench import store
from bench.processes import ROOT, Postgres, cpu_seconds, free_port, rss_bytes, service, started, until_up
from signalbox.ids import RunKey
from signalbox.store.db import Database

SCOPE = ("local", "flytesnacks", "development")


def _begin(database: Postgres, name: str) -> None:
    async def begin() -> None:
        async with Database(database.url, size=2) as db:
            await store.begin_run(db, RunKey(*SCOPE, name))

    asyncio.run(begin())


def _load(port: int, run: str, callers: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.load", str(port), run, str(callers), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def _loaded(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = process.communicate()
    return json.loads(said)


def _check(database: Postgres, answered: dict[str, dict[str, Any]]) -> None:
    """What was answered is kept, once: as many children as good answers, and each of them queued for a cluster."""
    with psycopg.connect(database.url) as connection:
        for run, loaded in answered.items():
            found = connection.execute(
                """
                SELECT count(*), count(*) FILTER (WHERE phase = 'queued' AND attempt = 1),
                       (SELECT count(*) FROM work WHERE work.run = action.run AND work.action <> 'a0')
                  FROM action WHERE run = %s AND name <> 'a0' GROUP BY run""",
                (run,),
            ).fetchone()
            done = loaded["codes"]["ok"]
            assert found == (done, done, done), (run, done, found)


def measure(database: Postgres, *, quick: bool) -> list[dict[str, Any]]:
    seconds, repeats = (3.0, 1) if quick else (5.0, 3)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "service.log"
        with service(database.url, log) as (port, pid):
            # before any load: afterwards the database still tidies up, which would count as the service's
            found = [_idle(database, pid), *_enqueue(database, port, pid, seconds=seconds, repeats=repeats)]
            with service(database.url, log) as (second, _):
                found.append(_replicas(database, port, second, seconds=seconds, repeats=repeats))
        # processes of their own: one that has been under load has memory to spare, and would seem to need none
        with service(database.url, log) as (port, pid):
            found += _watches(database, port, pid, count=500 if quick else 2000)
        with service(database.url, log) as (port, pid):
            found.append(_memory(database, port, pid, upto=30_000 if quick else 200_000))
    return found


def _enqueue(database: Postgres, port: int, pid: int, *, seconds: float, repeats: int) -> list[dict[str, Any]]:
    _begin(database, "warm")
    _loaded(_load(port, "warm", 100, 2))
    rates: list[dict[str, Any]] = []
    floors: list[float] = []
    cost: list[tuple[float, float]] = []
    for number in range(repeats):  # in turn, so that a slow minute concerns both
        floors.append(_in_memory(seconds))
        _begin(database, f"e{number}")
        before = cpu_seconds([pid]), cpu_seconds(database.pids())
        rates.append(_loaded(_load(port, f"e{number}", 100, seconds)))
        done = rates[-1]["codes"]["ok"]
        cost.append(
            ((cpu_seconds([pid]) - before[0]) / done * 1e6, (cpu_seconds(database.pids()) - before[1]) / done * 1e6)
        )
    peak = statistics.median(r["ok_per_second"] for r in rates)
    memory = statistics.median(floors)
    _begin(database, "overload")
    over = _loaded(_load(port, "overload", 500, seconds))
    _check(database, {f"e{number}": loaded for number, loaded in enumerate(rates)} | {"overload": over})
    return [
        {
            "workload": "API: durable Enqueue, 100 callers",
            "unit": "/s",
            "measured": round(peak),
            "all": [round(r["ok_per_second"]) for r in rates],
            "limit": round(memory),
            "ratio": round(peak / memory, 2),
            "target": 5000,
            "held": peak >= 5000,
            "p99_ms": round(statistics.median(r["p99_ms"] for r in rates), 1),
            "cpu_us": {
                "service": round(statistics.median(c[0] for c in cost)),
                "database": round(statistics.median(c[1] for c in cost)),
            },
        },
        {
            "workload": "API: Enqueue, 500 callers at once (5x): p99",
            "unit": "ms",
            "measured": round(over["p99_ms"], 1),
            "goodput_of_peak": round(over["ok_per_second"] / peak, 2),
            "codes": over["codes"],
            "target": 1000,
            "held": over["p99_ms"] < 1000
            and over["ok_per_second"] >= 0.8 * peak
            and not set(over["codes"]) - {"ok", "resource_exhausted"},
        },
    ]


def _in_memory(seconds: float) -> float:
    """The same callers on the floor: what this server can answer without validation, store or anything else."""
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), Path(folder) / "floor.log"
        with started([sys.executable, "-m", "bench.floor", str(port)], log) as process:
            until_up(port, process, log)
            return _loaded(_load(port, "any", 100, seconds))["ok_per_second"]


def _idle(database: Postgres, pid: int) -> dict[str, Any]:
    time.sleep(3)
    before, transactions, began = cpu_seconds([pid]), database.transactions(), time.monotonic()
    time.sleep(20)
    span = time.monotonic() - began
    share, queries = (cpu_seconds([pid]) - before) / span, (database.transactions() - transactions) / span
    return {
        "workload": "API: idle service, CPU",
        "unit": "%",
        "measured": round(share * 100, 2),
        "transactions_per_second": round(queries, 1),
        "target": 1,
        "held": share < 0.01 and queries < 20,
    }


async def _open_watches(port: int, run: str, count: int) -> list[asyncio.StreamWriter]:
    request = actions_service_pb2.WatchForUpdatesRequest()
    request.parent_action_id.run.org, request.parent_action_id.run.project, request.parent_action_id.run.domain = SCOPE
    request.parent_action_id.run.name, request.parent_action_id.name = run, "a0"
    message = request.SerializeToString()
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    head = (
        "POST /flyteidl2.actions.ActionsService/WatchForUpdates HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/connect+proto\r\nconnect-protocol-version: 1\r\n"
        f"content-length: {len(framed)}\r\n\r\n"
    ).encode()
    writers: list[asyncio.StreamWriter] = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + framed)
        await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)
    return writers


def _open_streams(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:  # of this machine
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("signalbox_streams_open{"))


def _watches(database: Postgres, port: int, pid: int, *, count: int) -> list[dict[str, Any]]:
    _begin(database, "watched")

    async def hold() -> tuple[int, float]:
        before = rss_bytes(pid)
        writers = await _open_watches(port, "watched", count)
        await asyncio.sleep(3)
        assert _open_streams(port) == count, "not every watch is open"
        grown = rss_bytes(pid) - before
        for writer in writers:
            writer.transport.abort()
        began = time.monotonic()
        while _open_streams(port) and time.monotonic() - began < 30:  # noqa: ASYNC110  # the event is another process's
            await asyncio.sleep(0.1)
        return grown, time.monotonic() - began

    grown, released = asyncio.run(hold())
    return [
        {
            "workload": f"API: {count} idle watches, memory each",
            "unit": "KiB",
            "measured": round(grown / count / 1024, 1),
            "target": 25,
            "held": grown / count < 25 * 1024,
        },
        {
            "workload": f"API: {count} abandoned watches, released after",
            "unit": "s",
            "measured": round(released, 1),
            "target": 2,
            "held": released <= 2,
        },
    ]


def _memory(database: Postgres, port: int, pid: int, *, upto: int) -> dict[str, Any]:
    """RSS after the first 10,000 enqueues of this process and after the last, with 100 watches open."""
    _begin(database, "watched-too")
    sizes: list[int] = []

    async def grow() -> None:
        writers = await _open_watches(port, "watched-too", 100)
        done, number = 0, 0
        while done < upto:
            number += 1
            await asyncio.to_thread(_begin, database, f"m{number}")
            loaded = await asyncio.to_thread(_loaded, _load(port, f"m{number}", 50, 3))
            done += loaded["codes"]["ok"]
            if done >= 10_000:
                sizes.append(rss_bytes(pid))
        assert _open_streams(port) >= len(writers), (
            "the watches were closed meanwhile"
        )  # and kept: a dropped one closes

    asyncio.run(grow())
    growth = sizes[-1] / sizes[0] - 1
    return {
        "workload": f"API: memory after {upto:,} actions, with 100 watches",
        "unit": "MiB",
        "measured": round(sizes[-1] / 2**20),
        "growth_since_10000": round(growth, 3),
        "target": 200,
        "held": sizes[-1] < 200 * 2**20 and growth <= 0.05,
    }


def _replicas(database: Postgres, first: int, second: int, *, seconds: float, repeats: int) -> dict[str, Any]:
    """Two API processes on one database against one, with as many callers."""
    alone: list[float] = []
    both: list[float] = []
    for number in range(repeats):  # in turn, so that a slow minute concerns both
        one, left, right = f"one{number}", f"left{number}", f"right{number}"
        for run in (one, left, right):
            _begin(database, run)
        alone.append(_loaded(_load(first, one, 100, seconds))["ok_per_second"])
        pair = [_load(first, left, 50, seconds), _load(second, right, 50, seconds)]
        loaded = [_loaded(process) for process in pair]
        _check(database, dict(zip((left, right), loaded, strict=True)))
        both.append(sum(each["ok_per_second"] for each in loaded))
    measured, limit = statistics.median(both), statistics.median(alone)
    return {
        "workload": "API: durable Enqueue, two replicas",
        "unit": "/s",
        "measured": round(measured),
        "all": [round(rate) for rate in both],
        "limit": round(limit),
        "ratio": round(measured / limit, 2),
        "target": 1.0,
        "held": measured >= limit,
    }
