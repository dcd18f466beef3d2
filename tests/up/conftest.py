from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from signalbox.up import leftovers
from support import stand_ins
from support.checkout import Checkout, free_port

COUNTS = {
    "template": {"satisfied": 12, "not_satisfied": 0, "not_assessed": 0},
    "live": {"satisfied": 10, "not_satisfied": 0, "not_assessed": 2},
}


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Checkout]:
    made = Checkout(tmp_path, free_port())
    stand_ins.install(tmp_path / "bin", made.state / "flyte")
    (tmp_path / "report.json").write_text(json.dumps({"counts": COUNTS}))
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
    leftovers.end(made.state)
