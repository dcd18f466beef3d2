"""One action in full: its attempts, where its data lies, and how to see that data. Places only, never payloads."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2

from signalbox.control.run_views import Details
from signalbox.rules.names import outputs_file
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.store.action_details import Attempt, Entered, Uris
from signalbox.store.actions import Kind


class Passage(NamedTuple):
    """A phase of an attempt; `lasted` is None for the present one and for an end."""

    phase: Phase
    at: datetime
    lasted: timedelta | None


class Log(NamedTuple):
    name: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class AttemptFacts:
    attempt: Attempt
    passages: Sequence[Passage]
    error: run_definition_pb2.ErrorInfo | None
    logs: Sequence[Log]
    outputs_uri: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`attempts`: newest first. `cache`: its version, or None when the task is not cached."""

    details: Details
    attempts: Sequence[AttemptFacts]
    inputs_uri: str
    cache: str | None
    commands: Sequence[tuple[str, str]]


def facts(details: Details, uris: Uris) -> Facts:
    spec = task_definition_pb2.TaskSpec.FromString(details.rest.spec or b"")
    metadata = spec.task_template.metadata
    attempts = [_attempt(details, attempt) for attempt in reversed(details.attempts)]
    return Facts(
        details=details,
        attempts=attempts,
        inputs_uri=uris.input_uri,
        cache=(metadata.discovery_version or "unversioned") if metadata.discoverable else None,
        commands=_commands(details),
    )


def _attempt(details: Details, attempt: Attempt) -> AttemptFacts:
    log = run_definition_pb2.ActionEvent.FromString(attempt.log or b"")
    error = None if attempt.error is None else run_definition_pb2.ErrorInfo.FromString(attempt.error)
    uri = attempt.output_uri
    return AttemptFacts(
        attempt=attempt,
        passages=_passages([entered for entered in details.history if entered.attempt == attempt.attempt]),
        error=error,
        logs=[Log(found.name or "Log", found.uri) for found in log.log_info if found.uri],
        outputs_uri=outputs_file(uri) if uri and details.action.row.kind is Kind.TASK else uri,
    )


def _passages(history: Sequence[Entered]) -> list[Passage]:
    found: list[Passage] = []
    for index, entered in enumerate(history):
        following = history[index + 1].at if index + 1 < len(history) else None
        over = entered.phase in TERMINAL or following is None
        # Times are of different clocks (the product's and the clusters'): none lasts less than nothing.
        lasted = None if over or following is None else max(following - entered.at, timedelta())
        found.append(Passage(entered.phase, entered.at, lasted))
    return found


def _commands(details: Details) -> list[tuple[str, str]]:
    """What to type to see the data, which a browser does not get from here."""
    key = details.action.row.key
    where = ["--project", key.project, "--domain", key.domain]
    commands = [("Inputs and outputs", ["flyte", "get", "io", *where, key.run, key.action])]
    if details.action.row.kind is Kind.TASK:
        commands.insert(0, ("Logs", ["flyte", "get", "logs", *where, key.run, key.action]))
    if details.action.row.phase is Phase.PAUSED:
        answer = ["flyte", "signal", "condition", *where, key.run, key.action, "VALUE"]
        commands.insert(0, ("Answer it", answer))
    return [(title, shlex.join(words)) for title, words in commands]
