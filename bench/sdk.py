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
from typing import Any

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
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return {
        "seconds": (last - first).total_seconds(),
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


def measure(database: Postgres, *, quick: bool) -> list[dict[str, Any]]:
    """Every workload, on the product and on the floor in turn; with the disk as it is and with a 3 ms commit."""
    repeats = 1 if quick else 3
    shapes: list[tuple[str, str, int, float, int, str, float | None]] = [
        ("fan-out of 1,000", "fanout", 1000, 0, 1, "", 1.25),
        ("chain of 200" if quick else "chain of 500", "chain", 200 if quick else 500, 0, 1, "", 2.5),
    ]
    if not quick:
        shapes += [
            ("fan-out of 6,000", "fanout", 6000, 0, 1, "", 1.25),
            ("fan-out of 1,000, SDK's own limits", "fanout", 1000, 0, 1, STOCK, 1.25),
            ("1,500 held for 5 s", "fanout", 1500, 5, 1, "", None),
            ("swarm of 5 runs of 400", "fanout", 400, 0, 5, "", None),
        ]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stacks:
        ours = stacks.enter_context(durable(database, Path(folder) / "durable"))
        memory = stacks.enter_context(floor(Path(folder) / "floor"))
        run(ours, database, "fanout", 10)
        run(memory, None, "fanout", 10)
        for name, kind, n, seconds, times, envs, target in shapes:
            pairs = [
                (
                    run(memory, None, kind, n, seconds=seconds, envs=envs, times=times),
                    run(ours, database, kind, n, seconds=seconds, envs=envs, times=times),
                )
                for _ in range(repeats)
            ]
            found.append(_row(name, pairs, target))
        database.commit_takes(3000)
        slow: list[tuple[str, str, int, float | None]] = [("chain of 200", "chain", 200, None)]
        if not quick:
            slow.append(("fan-out of 1,000", "fanout", 1000, 1.25))
        for name, kind, n, target in slow:
            pairs = [(run(memory, None, kind, n), run(ours, database, kind, n)) for _ in range(repeats)]
            row = _row(f"{name}, 3 ms commit", pairs, target)
            if kind == "chain":
                node = row["measured"] / n * 1000
                row |= {"ms_a_node": round(node, 1), "target": "15 ms a node", "held": node <= 15}
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
