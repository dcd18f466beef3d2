"""What runs attempts: one small interface, so that other executors (pods, Fargate tasks) can stand beside `process`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple, Protocol

from flyteidl2.task.run_pb2 import RunSpec
from flyteidl2.task.task_definition_pb2 import TaskSpec
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo
from google.protobuf.timestamp_pb2 import Timestamp

from signalbox_dataplane.store import join
from signalbox_wire.cluster.v1.cluster_pb2 import AttemptRef, Grant

LOG_NAME = "task.log"
"""Object beside an attempt's outputs that keeps its log after the attempt."""


class ActionKey(NamedTuple):
    org: str
    project: str
    domain: str
    run: str
    name: str


class AttemptKey(NamedTuple):
    """One attempt of one action under one grant; equal keys are the same grant."""

    action: ActionKey
    attempt: int
    epoch: int

    @staticmethod
    def of(ref: AttemptRef) -> AttemptKey:
        run = ref.action_id.run
        action = ActionKey(run.org, run.project, run.domain, run.name, ref.action_id.name)
        return AttemptKey(action, ref.attempt, ref.epoch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """All that an executor needs to know of one attempt."""

    key: AttemptKey
    grant: Grant
    spec: TaskSpec
    run_spec: RunSpec
    run_start_time: Timestamp

    @property
    def parent(self) -> ActionKey | None:
        name = self.grant.parent_action_name
        return self.key.action._replace(name=name) if name else None

    @property
    def inputs_uri(self) -> str:
        return inputs_file(self.grant.input_uri)

    @property
    def log_uri(self) -> str:
        return join(self.grant.output_uri, LOG_NAME)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an attempt ended: without an error it succeeded. `recoverable`: a further attempt may succeed."""

    error: ErrorInfo | None = None
    recoverable: bool = False
    has_log: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The attempt runs since `at` (UTC); `what` names that which runs, empty when there is nothing to tell."""

    at: datetime
    has_log: bool
    what: str = ""


OnStart = Callable[[Started], None]


class Executor(Protocol):
    async def run(self, attempt: Attempt, on_start: OnStart) -> Outcome:
        """Run one attempt to its end, calling `on_start` at most once, when its work begins.

        To abort is to cancel this call: it returns (with CancelledError) when nothing of the attempt is left running.
        """
        ...


def user_error(code: str, message: str) -> Outcome:
    """A failure that no further attempt can mend."""
    return Outcome(error=ErrorInfo(code=code, message=message, kind=ErrorInfo.KIND_USER), has_log=False)


def system_error(code: str, message: str, *, has_log: bool = False) -> Outcome:
    """A failure of the platform: a further attempt may succeed."""
    error = ErrorInfo(code=code, message=message, kind=ErrorInfo.KIND_SYSTEM)
    return Outcome(error=error, recoverable=True, has_log=has_log)


def inputs_file(uri: str) -> str:
    """URI of the inputs, given that or the folder that holds `inputs.pb`."""
    return uri if not uri or uri.endswith(".pb") else join(uri, "inputs.pb")


def bundle_uri(spec: TaskSpec) -> str:
    """URI of the task's code bundle, "" if it has none."""
    template = spec.task_template
    options = dict(pairwise(template.container.args))
    return template.metadata.code_bundle_uri or options.get("--tgz", "") or options.get("--pkl", "")


def utc_now() -> datetime:
    return datetime.now(UTC)
