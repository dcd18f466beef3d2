"""Which phase follows which: the whole life of an action, decided here and nowhere else.

An attempt goes forward only; a terminal phase absorbs. The words are Flyte's; `api.wire` maps them to its enum.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    QUEUED = "queued"
    WAITING_FOR_RESOURCES = "waiting_for_resources"
    INITIALIZING = "initializing"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    RECOVERED = "recovered"


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT, Phase.RECOVERED})

# What a cluster may report of an attempt that it was granted.
REPORTABLE = frozenset(
    {
        Phase.WAITING_FOR_RESOURCES,
        Phase.INITIALIZING,
        Phase.RUNNING,
        Phase.SUCCEEDED,
        Phase.FAILED,
        Phase.ABORTED,
        Phase.TIMED_OUT,
    }
)

_ORDER = {Phase.QUEUED: 0, Phase.WAITING_FOR_RESOURCES: 1, Phase.INITIALIZING: 2, Phase.RUNNING: 3, Phase.PAUSED: 3}


class Verdict(StrEnum):
    """What becomes of a report."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE_EPOCH = "stale_epoch"
    TERMINAL_ALREADY = "terminal_already"
    UNKNOWN_ACTION = "unknown_action"
    INVALID = "invalid"


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The grant now in force: the one valid (cluster, attempt, epoch) of an action."""

    cluster: str
    attempt: int
    epoch: int


@dataclass(frozen=True, kw_only=True)
class Now:
    """What is known of an action when a report of it arrives. `epoch` is that of the last accepted report."""

    phase: Phase
    attempt: int
    epoch: int
    lease: Lease | None


@dataclass(frozen=True, kw_only=True)
class Reported:
    cluster: str
    attempt: int
    epoch: int
    phase: Phase


def judge(now: Now | None, report: Reported) -> Verdict:
    """Whether a report counts (reliability rule: attempt and epoch must be those of the lease; terminal absorbs)."""
    if now is None:
        return Verdict.UNKNOWN_ACTION
    if report.phase not in REPORTABLE:
        return Verdict.INVALID
    if now.phase in TERMINAL:
        same_attempt = (now.attempt, now.epoch) == (report.attempt, report.epoch)
        if not same_attempt:
            return Verdict.STALE_EPOCH
        late_or_same = report.phase not in TERMINAL or report.phase == now.phase
        return Verdict.DUPLICATE if late_or_same else Verdict.TERMINAL_ALREADY
    held = Lease(cluster=report.cluster, attempt=report.attempt, epoch=report.epoch)
    if now.lease != held:
        return Verdict.STALE_EPOCH
    if report.phase not in TERMINAL and _ORDER[report.phase] <= _ORDER[now.phase]:
        return Verdict.DUPLICATE
    return Verdict.ACCEPTED
