"""The `.flyte/config.yaml` that the stock SDK finds from the checkout, and the SDK's own cache beside it.

Invariant: a file that a person wrote is never changed or removed; ours starts with `HEADER`. The SDK remembers which
code bundles it uploaded in `local-cache/` next to the file it read, so a store that is forgotten takes that along:
else the SDK would skip an upload that the new store never saw.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

HEADER = "# written by `signalbox up`; a file without this line is yours and is left alone\n"


@dataclass(frozen=True)
class FlyteConfig:
    path: Path

    @property
    def ours(self) -> bool:
        with contextlib.suppress(OSError):
            return self.path.read_text().startswith(HEADER)
        return False

    def write(self, *, port: int, fallback: Path) -> tuple[Path, str | None]:
        """The file that leads to this API, and what the user must know: None when the SDK finds it by itself."""
        text = content(port)
        shadow = self.path.parent.parent / "config.yaml"  # the SDK looks there first
        theirs = next((path for path in (shadow, self.path) if path.exists() and not FlyteConfig(path).ours), None)
        if theirs is not None and _endpoint(theirs) != f"dns:///localhost:{port}":
            fallback.parent.mkdir(parents=True, exist_ok=True)
            fallback.write_text(text)
            return fallback, f"{theirs} is yours and was left alone; use: flyte --config {fallback} ..."
        if theirs is not None:
            return theirs, None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.ours or self.path.read_text() != text:
            self.path.write_text(text)
        return self.path, None

    def forget_uploads(self) -> None:
        """Remove the SDK's memory of what it uploaded."""
        shutil.rmtree(self.path.parent / "local-cache", ignore_errors=True)

    def forget(self) -> None:
        """Remove our file and what the SDK remembers beside it; a user's file stays, its uploads are forgotten too."""
        self.forget_uploads()
        if self.ours:
            self.path.unlink()
            with contextlib.suppress(OSError):  # not empty: the rest is the user's
                self.path.parent.rmdir()


def content(port: int) -> str:
    return f"""{HEADER}admin:
  endpoint: dns:///localhost:{port}
  insecure: true
image:
  builder: local
task:
  org: local
  project: flytesnacks
  domain: development
"""


def _endpoint(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        found = re.search(r"^\s+endpoint:\s*[\"']?([^\s\"'#]+)", path.read_text(), re.MULTILINE)
        return found.group(1) if found else None
    return None
