"""How facts are said on pages: phases, times, durations, people. Times that lie ahead of a clock count as now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from signalbox.rules.phases import TERMINAL, Phase

PHASES: Mapping[Phase, str] = {
    Phase.QUEUED: "Queued",
    Phase.WAITING_FOR_RESOURCES: "Waiting for resources",
    Phase.INITIALIZING: "Initializing",
    Phase.RUNNING: "Running",
    Phase.PAUSED: "Paused",
    Phase.SUCCEEDED: "Succeeded",
    Phase.FAILED: "Failed",
    Phase.ABORTED: "Aborted",
    Phase.TIMED_OUT: "Timed out",
    Phase.RECOVERED: "Recovered",
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG_AGO = 30 * _DAY


def is_over(phase: Phase) -> bool:
    return phase in TERMINAL


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def absolute(at: datetime) -> str:
    """To the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """`live.js` says the same in `ago`."""
    seconds = int((now - at).total_seconds())
    if seconds < _MINUTE:
        return f"{max(seconds, 0)} s ago"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h ago"
    if seconds < _LONG_AGO:
        return f"{seconds // _DAY} d ago"
    return f"{at:%Y-%m-%d}"


def duration(length: timedelta) -> str:
    """`live.js` says the same in `duration`."""
    exact = max(length.total_seconds(), 0.0)
    if exact < _MINUTE:
        return f"{exact:.1f} s"
    seconds = int(exact)
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def person(principal: str) -> str:
    """The subject of `user:<subject>`; any other principal with its kind."""
    return principal.removeprefix("user:")


def count(number: int) -> str:
    return f"{number:,}"


def safe_link(url: str) -> str | None:
    """The URL if it leads to the web; None for any other scheme, which a page must show as text."""
    return url if url.lower().startswith(("https://", "http://")) else None


def clock(at: datetime) -> str:
    """Time of day in UTC, to the millisecond."""
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
