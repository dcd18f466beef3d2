"""Measure: `make bench`, or `python -m bench [PART ...] [--quick] [-o json]`. See bench/README.md.

Limits and floors are taken in the same run as the figures beside them: ratios travel between machines, rates do not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import api, sdk, store
from bench.processes import Postgres, postgres

PARTS = ("store", "api", "sdk")
"""Of the bounded whole."""
LONG = ("swarm", "matrix")
"""Minutes and half an hour more: measured when they are named."""


def measure(parts: list[str], *, quick: bool) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    load = os.getloadavg()[0]  # of the others: what runs here comes on top
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:  # each on a database of its own: none pays for the rows of another
            with postgres(Path(folder) / part) as database:
                if not rows:
                    rows += [_disk(database), _commits(database)]
                sys.stderr.write(f"bench: {part}\n")
                match part:
                    case "store":
                        rows += store.measure(database, count=2000 if quick else 5000, batch=100)
                    case "api":
                        rows += api.measure(database, quick=quick)
                    case "matrix":
                        rows += sdk.measure(database, quick=quick, whole=True)
                    case "swarm":
                        rows += sdk.swarm(database, quick=quick)
                    case _:
                        rows += sdk.measure(database, quick=quick)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "rows": rows,
        "machine": {
            "cpus": os.cpu_count(),
            "load_before": load,
            "load_after": os.getloadavg()[0],
            "platform": platform.platform(),
        },
        "commit": commit.stdout.strip(),
    }


def _disk(database: Postgres) -> dict[str, Any]:
    """What one commit costs on this disk, by PostgreSQL's own tool."""
    file = database.folder.parent / "synced"  # the tool removes it
    command = [str(database.binaries / "pg_test_fsync"), "-s", "1", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"fdatasync\s+[\d.]+ ops/sec\s+([\d.]+) usecs/op", done.stdout)
    return {"workload": "disk: fdatasync", "unit": "us", "measured": float(found.group(1)) if found else None}


def _commits(database: Postgres) -> dict[str, Any]:
    """Durable single-row commits a second, one after the other: what bounds a chain."""
    rows = round(store.limit(database.url, database.binaries / "pgbench", batch=1))
    return {"workload": "database: single-row commits, one client", "unit": "/s", "measured": rows}


def _line(row: dict[str, Any]) -> str:
    held = {True: "held", False: "NOT HELD", None: ""}[row.get("held")]
    known = ("workload", "unit", "measured", "target", "held", "limit", "ratio")
    rest = ", ".join(f"{name} {value}" for name, value in row.items() if name not in known)
    limit = f"{row['limit']}" if "limit" in row else ""
    ratio = f"{row['ratio']}" if "ratio" in row else ""
    target = "" if row.get("target") is None else f"{row['target']}"
    return f"| {row['workload']} | {row['measured']} {row['unit']} | {limit} | {ratio} | {target} | {held} | {rest} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS + LONG)}; {', '.join(PARTS)} when none is named")
    parser.add_argument("--quick", action="store_true", help="small numbers, once each: to see that it works")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    if unknown := set(options.parts) - {*PARTS, *LONG}:
        parser.error(f"parts: of {', '.join(PARTS + LONG)}, got {', '.join(sorted(unknown))}")
    found = measure(options.parts or list(PARTS), quick=options.quick)
    if options.output == "json":
        print(json.dumps(found))
        return
    print("| workload | measured | limit or floor | ratio | target | | beside |\n|---|---|---|---|---|---|---|")
    for row in found["rows"]:
        print(_line(row))
    print(f"\ncommit {found['commit']}, {found['machine']}")


if __name__ == "__main__":
    main()
