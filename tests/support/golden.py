"""Files that say what was reviewed: a difference is either a mistake or to be reviewed and written anew.

`SIGNALBOX_WRITE_GOLDEN=1 make test TESTS=tests/infra` writes them; the difference is then seen in the commit.
"""

import difflib
import os
from pathlib import Path

WRITE = "SIGNALBOX_WRITE_GOLDEN"


def compare(file: Path, made: str) -> None:
    """Fail with the difference between `file` and `made`, or write the file when that is asked for."""
    if os.environ.get(WRITE) == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made, encoding="utf-8")
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    difference = "\n".join(
        difflib.unified_diff(kept.splitlines(), made.splitlines(), str(file.name), "made now", lineterm="", n=2)
    )
    assert kept == made, f"{file} is not what is made now; if that is meant, set {WRITE}=1 and review:\n{difference}"
