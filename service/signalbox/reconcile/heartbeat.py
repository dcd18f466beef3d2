"""The sign of life of a reconciler, to which nobody connects: a file that it touches after each round.

Also after a round that failed: a process that cannot reach its database is alive, and a new one would not do better.
"""

from __future__ import annotations

import time
from datetime import timedelta

from signalbox.settings import Settings

_SLOWEST_ROUND = timedelta(seconds=60)
"""Far longer than a round takes: passes are bounded, and what does not answer is given up within seconds."""


def beat(settings: Settings) -> None:
    """Leave the sign, where the settings name a file."""
    if settings.heartbeat_file is not None:
        settings.heartbeat_file.touch()


def trouble(settings: Settings) -> str | None:
    """What the file says against the reconciler; None when it goes on."""
    if settings.heartbeat_file is None:
        return "SIGNALBOX_HEARTBEAT_FILE is not set, so reconcile leaves no sign of life"
    try:
        age = timedelta(seconds=time.time() - settings.heartbeat_file.stat().st_mtime)
    except FileNotFoundError:
        return f"{settings.heartbeat_file}: not there; reconcile has not finished a round yet"
    if age > settings.reconcile_every + _SLOWEST_ROUND:
        return f"reconcile finished its last round {age.total_seconds():.0f} s ago"
    return None
