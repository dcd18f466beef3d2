"""Attempts as an executor gets them, for tests that need no grant."""

from __future__ import annotations

from datetime import UTC, datetime

from flyteidl2.core.literals_pb2 import KeyValuePair
from flyteidl2.core.tasks_pb2 import Container, TaskTemplate
from flyteidl2.task.run_pb2 import Envs, RawDataStorage, RunSpec
from flyteidl2.task.task_definition_pb2 import TaskSpec
from google.protobuf.timestamp_pb2 import Timestamp

from signalbox_dataplane.executor import ActionKey, Attempt, AttemptKey
from signalbox_wire.cluster.v1.cluster_pb2 import Grant


def an_attempt(
    *,
    number: int = 1,
    input_uri: str = "s3://b/runs/r1/a0/inputs.pb",
    previous: str = "",
    raw_prefix: str = "",
    container_env: dict[str, str] | None = None,
    run_envs: dict[str, str] | None = None,
    start: datetime = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC),
) -> Attempt:
    run_start_time = Timestamp()
    run_start_time.FromDatetime(start)
    run_spec = RunSpec(envs=Envs(values=_pairs(run_envs)), raw_data_storage=RawDataStorage(raw_data_prefix=raw_prefix))
    container = Container(args=["a0"], env=_pairs(container_env))
    return Attempt(
        key=AttemptKey(ActionKey("local", "flytesnacks", "development", "r1", "a0"), number, 7),
        grant=Grant(
            input_uri=input_uri,
            run_output_base="s3://b/runs/r1",
            output_uri=f"s3://b/runs/r1/a0/{number}",
            previous_output_uri=previous,
        ),
        spec=TaskSpec(task_template=TaskTemplate(container=container)),
        run_spec=run_spec,
        run_start_time=run_start_time,
    )


def _pairs(of: dict[str, str] | None) -> list[KeyValuePair]:
    return [KeyValuePair(key=key, value=value) for key, value in (of or {}).items()]
