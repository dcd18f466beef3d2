"""Where everything of one checkout lives: below `.signalbox/`, and the SDK's `.flyte/` beside it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from signalbox.errors import Unavailable

FREE_BYTES_NEEDED = 500 * 1024 * 1024


@dataclass(frozen=True)
class Places:
    root: Path
    """The checkout, absolute; for an installed `signalbox`, the current folder."""

    @property
    def state(self) -> Path:
        return self.root / ".signalbox"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def postgres(self) -> Path:
        return self.state / "postgres"

    @property
    def dataplane(self) -> Path:
        return self.state / "dataplane"

    @property
    def join_token(self) -> Path:
        return self.state / "join-token"

    @property
    def storage(self) -> Path:
        return self.state / "storage"

    @property
    def emulator(self) -> Path:
        return self.state / "emulator"

    @property
    def evidence(self) -> Path:
        return self.state / "evidence"

    @property
    def report(self) -> Path:
        return self.evidence / "latest" / "report.html"

    @property
    def flyte_environment(self) -> Path:
        """The stock SDK's environment; set-up makes it, reset leaves it."""
        return self.state / "flyte"

    @property
    def kept(self) -> set[Path]:
        """What `reset` leaves in the state folder."""
        return {self.flyte_environment, self.lock}

    @property
    def lock(self) -> Path:
        return self.state / "up.lock"

    @property
    def flyte_config(self) -> Path:
        return self.root / ".flyte" / "config.yaml"

    def prepare(self) -> None:
        """Make the state folder and see that it can be written. Raises Unavailable."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            probe = self.state / f".writable-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as e:
            raise Unavailable(f"{self.state}: cannot be written: {e.strerror}") from e
        free = shutil.disk_usage(self.state).free
        if free < FREE_BYTES_NEEDED:
            wanted = FREE_BYTES_NEEDED // 1024**2
            raise Unavailable(f"{self.state}: {wanted} MiB of free disk wanted, got {free // 1024**2} MiB")
