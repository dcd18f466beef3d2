import datetime

from flyteidl2.common import identifier_pb2 as _identifier_pb2
from flyteidl2.task import run_pb2 as _run_pb2
from flyteidl2.task import task_definition_pb2 as _task_definition_pb2
from flyteidl2.workflow import run_definition_pb2 as _run_definition_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_ACCEPTED: _ClassVar[Outcome]
    OUTCOME_DUPLICATE: _ClassVar[Outcome]
    OUTCOME_STALE_EPOCH: _ClassVar[Outcome]
    OUTCOME_TERMINAL_ALREADY: _ClassVar[Outcome]
    OUTCOME_UNKNOWN_ACTION: _ClassVar[Outcome]
    OUTCOME_INVALID: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_ACCEPTED: Outcome
OUTCOME_DUPLICATE: Outcome
OUTCOME_STALE_EPOCH: Outcome
OUTCOME_TERMINAL_ALREADY: Outcome
OUTCOME_UNKNOWN_ACTION: Outcome
OUTCOME_INVALID: Outcome

class EnrollRequest(_message.Message):
    __slots__ = ("join_token", "facts")
    JOIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    join_token: str
    facts: ClusterFacts
    def __init__(self, join_token: _Optional[str] = ..., facts: _Optional[_Union[ClusterFacts, _Mapping]] = ...) -> None: ...

class ClusterFacts(_message.Message):
    __slots__ = ("dataproxy_endpoint", "storage_prefix", "agent_version")
    DATAPROXY_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    STORAGE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    dataproxy_endpoint: str
    storage_prefix: str
    agent_version: str
    def __init__(self, dataproxy_endpoint: _Optional[str] = ..., storage_prefix: _Optional[str] = ..., agent_version: _Optional[str] = ...) -> None: ...

class EnrollResponse(_message.Message):
    __slots__ = ("org", "cluster", "credential")
    ORG_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    org: str
    cluster: str
    credential: Credential
    def __init__(self, org: _Optional[str] = ..., cluster: _Optional[str] = ..., credential: _Optional[_Union[Credential, _Mapping]] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("token", "expires_at")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, token: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("credential",)
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    credential: Credential
    def __init__(self, credential: _Optional[_Union[Credential, _Mapping]] = ...) -> None: ...

class AttemptRef(_message.Message):
    __slots__ = ("action_id", "attempt", "epoch")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    action_id: _identifier_pb2.ActionIdentifier
    attempt: int
    epoch: int
    def __init__(self, action_id: _Optional[_Union[_identifier_pb2.ActionIdentifier, _Mapping]] = ..., attempt: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class LeaseRequest(_message.Message):
    __slots__ = ("session_id", "facts", "held", "capacity")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    facts: ClusterFacts
    held: _containers.RepeatedCompositeFieldContainer[AttemptRef]
    capacity: int
    def __init__(self, session_id: _Optional[str] = ..., facts: _Optional[_Union[ClusterFacts, _Mapping]] = ..., held: _Optional[_Iterable[_Union[AttemptRef, _Mapping]]] = ..., capacity: _Optional[int] = ...) -> None: ...

class LeaseResponse(_message.Message):
    __slots__ = ("grants", "aborts", "progress")
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    ABORTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    grants: Grants
    aborts: Aborts
    progress: Progress
    def __init__(self, grants: _Optional[_Union[Grants, _Mapping]] = ..., aborts: _Optional[_Union[Aborts, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Grants(_message.Message):
    __slots__ = ("task_specs", "runs", "grants")
    TASK_SPECS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    task_specs: _containers.RepeatedCompositeFieldContainer[TaskSpecEntry]
    runs: _containers.RepeatedCompositeFieldContainer[RunContext]
    grants: _containers.RepeatedCompositeFieldContainer[Grant]
    def __init__(self, task_specs: _Optional[_Iterable[_Union[TaskSpecEntry, _Mapping]]] = ..., runs: _Optional[_Iterable[_Union[RunContext, _Mapping]]] = ..., grants: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ...) -> None: ...

class TaskSpecEntry(_message.Message):
    __slots__ = ("digest", "spec")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    spec: _task_definition_pb2.TaskSpec
    def __init__(self, digest: _Optional[bytes] = ..., spec: _Optional[_Union[_task_definition_pb2.TaskSpec, _Mapping]] = ...) -> None: ...

class RunContext(_message.Message):
    __slots__ = ("run_id", "run_spec", "run_start_time")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_SPEC_FIELD_NUMBER: _ClassVar[int]
    RUN_START_TIME_FIELD_NUMBER: _ClassVar[int]
    run_id: _identifier_pb2.RunIdentifier
    run_spec: _run_pb2.RunSpec
    run_start_time: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[_Union[_identifier_pb2.RunIdentifier, _Mapping]] = ..., run_spec: _Optional[_Union[_run_pb2.RunSpec, _Mapping]] = ..., run_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("ref", "parent_action_name", "group", "task_spec_digest", "input_uri", "run_output_base", "output_uri", "previous_output_uri")
    REF_FIELD_NUMBER: _ClassVar[int]
    PARENT_ACTION_NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    TASK_SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUT_URI_FIELD_NUMBER: _ClassVar[int]
    RUN_OUTPUT_BASE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_URI_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_OUTPUT_URI_FIELD_NUMBER: _ClassVar[int]
    ref: AttemptRef
    parent_action_name: str
    group: str
    task_spec_digest: bytes
    input_uri: str
    run_output_base: str
    output_uri: str
    previous_output_uri: str
    def __init__(self, ref: _Optional[_Union[AttemptRef, _Mapping]] = ..., parent_action_name: _Optional[str] = ..., group: _Optional[str] = ..., task_spec_digest: _Optional[bytes] = ..., input_uri: _Optional[str] = ..., run_output_base: _Optional[str] = ..., output_uri: _Optional[str] = ..., previous_output_uri: _Optional[str] = ...) -> None: ...

class Aborts(_message.Message):
    __slots__ = ("aborts",)
    ABORTS_FIELD_NUMBER: _ClassVar[int]
    aborts: _containers.RepeatedCompositeFieldContainer[Abort]
    def __init__(self, aborts: _Optional[_Iterable[_Union[Abort, _Mapping]]] = ...) -> None: ...

class Abort(_message.Message):
    __slots__ = ("ref", "reason")
    REF_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ref: AttemptRef
    reason: str
    def __init__(self, ref: _Optional[_Union[AttemptRef, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("fence_after", "report_every")
    FENCE_AFTER_FIELD_NUMBER: _ClassVar[int]
    REPORT_EVERY_FIELD_NUMBER: _ClassVar[int]
    fence_after: _duration_pb2.Duration
    report_every: _duration_pb2.Duration
    def __init__(self, fence_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., report_every: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("session_id", "reports")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reports: _containers.RepeatedCompositeFieldContainer[AttemptReport]
    def __init__(self, session_id: _Optional[str] = ..., reports: _Optional[_Iterable[_Union[AttemptReport, _Mapping]]] = ...) -> None: ...

class AttemptReport(_message.Message):
    __slots__ = ("epoch", "event", "recoverable")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RECOVERABLE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    event: _run_definition_pb2.ActionEvent
    recoverable: bool
    def __init__(self, epoch: _Optional[int] = ..., event: _Optional[_Union[_run_definition_pb2.ActionEvent, _Mapping]] = ..., recoverable: _Optional[bool] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ("outcomes", "session_current", "reasons")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    SESSION_CURRENT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedScalarFieldContainer[Outcome]
    session_current: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, str]]] = ..., session_current: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...
