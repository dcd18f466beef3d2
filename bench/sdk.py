"""Workloads of the stock SDK, with the shapes of flyteorg/flyte-benchmarks, on the product and on the floor.

The time is the root action's own, from its creation to its end as the control plane recorded them: neither the
client's polling nor its start. After each run every action must have succeeded, exactly once.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.processes import Postgres, Stack, ask, cpu_seconds, durable, floor, rss_bytes

SHAPES = Path(__file__).parent / "workloads" / "shapes.py"
STOCK = "_F_MAX_QPS=100,_F_P_CNC=1000"
"""What the SDK does without our data plane's settings."""


def run(
    stack: Stack, database: Postgres | None, kind: str, n: int, *, seconds: float = 0, envs: str = "", times: int = 1
) -> dict[str, Any]:
    """One run (or several at once): seconds of the slowest, and CPU a leaf of each part."""
    program = Path(shutil.copy(SHAPES, stack.folder))  # the SDK bundles the folder of its program
    parts = stack.pids | ({"database": database.pids()} if database else {})
    before = {part: cpu_seconds(pids) for part, pids in parts.items()}
    names = stack.flyte(program, kind, str(n), str(seconds), envs, str(times)).split(",")
    spans = [_until_over(stack, name) for name in names]
    cost = {part: (cpu_seconds(pids) - before[part]) / (n * times) * 1e6 for part, pids in parts.items()}
    if database:
        _check(database, names, n + 1)
    node = _node_seconds(database, names[0]) if database else None
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return {
        "seconds": (last - first).total_seconds(),
        "node_seconds": node,
        "cpu_us": {part: round(us) for part, us in cost.items()},
        "rss_mib": round(rss_bytes(stack.pids["service"][0]) / 2**20),
    }


def _until_over(stack: Stack, name: str) -> tuple[datetime, datetime]:
    run_id = {"org": "local", "project": "flytesnacks", "domain": "development", "name": name}
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        answer = ask(stack.port, "flyteidl2.workflow.RunService/GetRunDetails", {"runId": run_id})
        status = answer["details"]["action"]["status"]
        if "endTime" in status:
            assert status["phase"] == "ACTION_PHASE_SUCCEEDED", status
            return datetime.fromisoformat(status["startTime"]), datetime.fromisoformat(status["endTime"])
        time.sleep(0.2)
    raise RuntimeError(f"{name}: not over after fifteen minutes")


def _check(database: Postgres, names: list[str], expected: int) -> None:
    with psycopg.connect(database.url) as connection:
        for name in names:
            found = connection.execute(
                """
                SELECT count(*), count(*) FILTER (WHERE phase = 'succeeded' AND attempt = 1)
                  FROM action WHERE run = %s""",
                (name,),
            ).fetchone()
            ended = connection.execute(
                "SELECT count(*) FROM event WHERE run = %s AND phase = 'succeeded' AND kind = 'phase'", (name,)
            ).fetchone()
            assert found == (expected, expected), (name, found)
            assert ended == (expected,), (name, ended)


def _node_seconds(database: Postgres, run: str) -> float:
    """From the first child's creation to the last one's end, a child: without the start of the root's process."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute(
            """
            SELECT extract(epoch FROM max(ended_at) - min(created_at)) / count(*) FROM action
             WHERE run = %s AND parent <> ''""",
            (run,),
        ).fetchone()
    assert row is not None
    return float(row[0])


class Workload(NamedTuple):
    """`times` runs of `n` leaves that sleep for `seconds`; `target`: at most so many times the floor."""

    name: str
    kind: str
    n: int
    seconds: float = 0
    times: int = 1
    target: float | None = None


class Cell(NamedTuple):
    workload: Workload
    envs: str
    commit_us: int

    @property
    def name(self) -> str:
        limits = ", SDK's own limits" if self.envs else ""
        return self.workload.name + limits + (f", {self.commit_us // 1000} ms commit" if self.commit_us else "")


FANOUT = Workload("fan-out of 1,000", "fanout", 1000, target=1.25)
WIDE = Workload("fan-out of 6,000", "fanout", 6000, target=1.25)
CHAIN = Workload("chain of 500", "chain", 500, target=2.5)
SHORT_CHAIN = Workload("chain of 200", "chain", 200, target=2.5)
HELD = Workload("1,500 held for 5 s", "fanout", 1500, seconds=5)
SWARM = Workload("swarm of 5 runs of 400", "fanout", 400, times=5)
_SLOW_DISK = 3000
_MS_A_NODE = 15


def cells(*, quick: bool, whole: bool) -> list[Cell]:
    """What is measured, by disk; `whole`: every workload in both environments and on both disks."""
    if whole:
        every = (FANOUT, WIDE, CHAIN, HELD, SWARM)
        return [Cell(w, envs, disk) for disk in (0, _SLOW_DISK) for w in every for envs in ("", STOCK)]
    if quick:
        return [Cell(FANOUT, "", 0), Cell(SHORT_CHAIN, "", 0), Cell(SHORT_CHAIN, "", _SLOW_DISK)]
    plain = [Cell(w, "", 0) for w in (FANOUT, CHAIN, WIDE, HELD, SWARM)]
    return [*plain, Cell(FANOUT, STOCK, 0), Cell(SHORT_CHAIN, "", _SLOW_DISK), Cell(FANOUT, "", _SLOW_DISK)]


def measure(database: Postgres, *, quick: bool, whole: bool = False) -> list[dict[str, Any]]:
    """Workloads on the product and on the floor in turn, once if `quick`, else three times."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stacks:
        ours = stacks.enter_context(durable(database, Path(folder) / "durable"))
        memory = stacks.enter_context(floor(Path(folder) / "floor"))
        run(ours, database, "fanout", 10)
        run(memory, None, "fanout", 10)
        for cell in cells(quick=quick, whole=whole):
            database.commit_takes(cell.commit_us)
            w = cell.workload
            pairs = [
                (
                    run(memory, None, w.kind, w.n, seconds=w.seconds, envs=cell.envs, times=w.times),
                    run(ours, database, w.kind, w.n, seconds=w.seconds, envs=cell.envs, times=w.times),
                )
                for _ in range(1 if quick else 3)
            ]
            row = _row(cell.name, pairs, w.target)
            if w.kind == "chain":
                row["ms_a_node"] = round(statistics.median(ours["node_seconds"] for _, ours in pairs) * 1000, 1)
                if cell.commit_us:
                    row |= {"target": f"{_MS_A_NODE} ms a node", "held": row["ms_a_node"] <= _MS_A_NODE}
            found.append(row)
        database.commit_takes(0)
    return found


def swarm(database: Postgres, *, quick: bool) -> list[dict[str, Any]]:
    """50 runs of 2,000 leaves at once, on the product only; what counts is that all end well, and the memory."""
    runs, leaves = (3, 100) if quick else (50, 2000)
    with tempfile.TemporaryDirectory() as folder, durable(database, Path(folder) / "durable") as ours:
        run(ours, database, "fanout", 10)
        taken = run(ours, database, "fanout", leaves, times=runs)  # raises unless each action succeeded, once
    return [
        {
            "workload": f"SDK: swarm of {runs} runs of {leaves:,}",
            "unit": "s",
            "measured": round(taken["seconds"], 1),
            "actions_per_second": round(runs * leaves / taken["seconds"]),
            "target": "all succeeded, under 200 MiB",
            "held": taken["rss_mib"] < 200,
            "cpu_us": taken["cpu_us"],
            "rss_mib": taken["rss_mib"],
        }
    ]


def _row(name: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]], target: float | None) -> dict[str, Any]:
    limit = statistics.median(memory["seconds"] for memory, _ in pairs)
    taken = [ours["seconds"] for _, ours in pairs]
    measured = statistics.median(taken)
    return {
        "workload": f"SDK: {name}",
        "unit": "s",
        "measured": round(measured, 2),
        "all": [round(seconds, 2) for seconds in taken],
        "limit": round(limit, 2),
        "floor_all": [round(memory["seconds"], 2) for memory, _ in pairs],
        "ratio": round(measured / limit, 2),
        "target": target,
        "held": None if target is None else measured <= target * limit,
        "cpu_us": pairs[-1][1]["cpu_us"],
        "floor_cpu_us": pairs[-1][0]["cpu_us"],
        "rss_mib": pairs[-1][1]["rss_mib"],
    }
