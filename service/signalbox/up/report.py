"""What the evidence report counts, as far as `signalbox up` retells it: read from its JSON, never judged again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from signalbox.up.failures import Failed

SATISFIED = "satisfied"


@dataclass(frozen=True)
class Report:
    counts: dict[str, dict[str, int]]
    """Mode (template, live) -> status -> number of controls."""

    @property
    def sentence(self) -> str:
        return "; ".join(_sentence(mode, by_status) for mode, by_status in self.counts.items())


def read(path: Path) -> Report:
    """Raises Failed when the report is not there, or counts nothing."""
    try:
        counts: dict[str, dict[str, int]] = json.loads(path.read_text())["counts"]
        if not sum(number for by_status in counts.values() for number in by_status.values()):
            raise Failed(f"{path}: the report holds no control")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise Failed(f"{path}: no counts of controls: {e!r}") from e
    return Report(counts)


def _sentence(mode: str, by_status: dict[str, int]) -> str:
    """For example "live: 12 of 14 controls satisfied, 2 not assessed"."""
    others = [f"{n} {status.replace('_', ' ')}" for status, n in by_status.items() if n and status != SATISFIED]
    whole = f"{mode}: {by_status.get(SATISFIED, 0)} of {sum(by_status.values())} controls satisfied"
    return ", ".join([whole, *others])
