"""What the evidence report says, as far as `signalbox up` retells it: read from its JSON, never counted again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from signalbox.up.failures import Failed


@dataclass(frozen=True)
class Report:
    controls: int
    operated: int

    @property
    def sentence(self) -> str:
        return f"{self.operated} of {self.controls} controls operated as designed"


def read(path: Path) -> Report:
    """Raises Failed when the report is not there or says something else."""
    try:
        summary = json.loads(path.read_text())["summary"]
        return Report(controls=int(summary["controls"]), operated=int(summary["operated"]))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Failed(f"{path}: no evidence summary: {e!r}") from e
