"""The `flyte` environment: the stock SDK of the lock file, in which task processes run."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".signalbox" / "flyte"


@cache
def flyte_bin() -> Path:
    """Its `bin` directory; the environment is made or brought up to the lock first."""
    subprocess.run(
        ["uv", "sync", "--frozen", "--quiet"],
        cwd=ROOT / "dataplane" / "runtime",
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)},
        check=True,
    )
    return ENVIRONMENT / "bin"
