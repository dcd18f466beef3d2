"""Why an action does not run now: exactly one reason, in words, from the facts of one moment.

The reasons are in the order in which dispatch meets them, so that the one that is told
is the one to do something about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.timers import Owner


class Candidate(NamedTuple):
    """A cluster as dispatch sees it. `room`: how many more attempts it wants to hold."""

    name: str
    is_healthy: bool
    room: int


class Situation(NamedTuple):
    """All that decides about one action; limits are None where there are none.

    `held_actions`, `held_runs`: of its queue; `slots_taken`, `max_actions_of_run`: of its run (0: no limit).
    """

    phase: Phase
    attempt: int
    owner: Owner | None
    cluster: str | None
    since: datetime | None
    queue: str
    is_root: bool
    max_actions: int | None
    held_actions: int
    max_runs: int | None
    held_runs: int
    queue_clusters: Sequence[str]
    max_actions_of_run: int
    slots_taken: int
    computed_by: str | None
    candidates: Sequence[Candidate]


def reason(s: Situation) -> str:  # one return a reason
    """One sentence."""
    if s.phase in TERMINAL:
        return f"it is over: {s.phase}"
    match s.owner:
        case Owner.CLUSTER:
            return f"cluster {s.cluster} holds attempt {s.attempt}, which is {s.phase}"
        case Owner.PERSON:
            return "it waits for a person: signal it"
        case Owner.BACKOFF:
            return f"attempt {s.attempt} waits for its backoff until {s.since:%Y-%m-%d %H:%M:%S %Z}"
        case Owner.CACHE:
            return f"it waits for {s.computed_by or 'the action'} that computes the same result"
        case Owner.RUN:
            return f"its run has all {s.max_actions_of_run} places of max_action_concurrency taken ({s.slots_taken})"
        case Owner.DISPATCH:
            return _waiting(s)
        case None:
            return "nothing is known to act on it: this is a defect of Signalbox"


def _waiting(s: Situation) -> str:
    if not s.candidates:
        return "no cluster is registered: enrol a data plane"
    allowed = [c for c in s.candidates if not s.queue_clusters or c.name in s.queue_clusters]
    if not allowed:
        return f"queue {s.queue} goes to {', '.join(s.queue_clusters)} only, and none of these is registered"
    healthy = [c for c in allowed if c.is_healthy]
    if not healthy:
        return f"no cluster of queue {s.queue} is healthy: {', '.join(c.name for c in allowed)} silent"
    if s.max_actions is not None and s.held_actions >= s.max_actions:
        return f"queue {s.queue} holds all {s.max_actions} actions that it may"
    if s.is_root and s.max_runs is not None and s.held_runs >= s.max_runs:
        return f"queue {s.queue} has all {s.max_runs} runs that it may"
    if all(c.room <= 0 for c in healthy):
        return f"all clusters of queue {s.queue} are full: {', '.join(c.name for c in healthy)}"
    return "it is in line: the next dispatch takes it, or what goes before it"
