"""What an ended process means, by the files that it left and its exit code.

The Flyte runtime writes `error.pb` for a failure and often still exits with 0, so that file decides first. Success
needs `outputs.pb`, which the runtime also writes for tasks without outputs. Anything else is a system failure: a
further attempt may succeed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from flyteidl2.core.execution_pb2 import ContainerError, ErrorDocument, ExecutionError
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo
from google.protobuf.message import DecodeError

from signalbox_dataplane.errors import ObjectMissing, StoreError
from signalbox_dataplane.executor import Outcome, system_error
from signalbox_dataplane.store import ObjectStore, join

MESSAGE_BYTES = 8 * 1024
"""Most of an error message: it is the one text of a task that leaves the data plane."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessExit:
    """Exit code as of the waiting parent (negative: the signal), and the last lines that were printed."""

    code: int
    last_lines: str


async def outcome(store: ObjectStore, output_uri: str, ended: ProcessExit) -> Outcome:
    try:
        document = await _error_document(store, output_uri)
        if document is not None:
            return _failed(document.error)
        if ended.code == 0 and await store.exists(join(output_uri, "outputs.pb")):
            return Outcome()
    except DecodeError:
        return system_error("UnreadableError", f"{join(output_uri, 'error.pb')} is no error document", has_log=True)
    except StoreError as error:
        return system_error("StoreUnavailable", f"cannot tell how the task ended: {error}", has_log=True)
    return _system_failure(ended)


async def clear(store: ObjectStore, output_uri: str) -> None:
    """Forget what an earlier grant of the same attempt may have left, so that it cannot speak for this one."""
    for name in ("error.pb", "outputs.pb"):
        await store.delete(join(output_uri, name))


def cut(text: str, limit: int = MESSAGE_BYTES) -> str:
    """The text, or its end after a mark if it is longer than `limit` bytes of UTF-8; the end tells most."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return "… " + raw[4 - limit :].decode(errors="ignore")


async def _error_document(store: ObjectStore, output_uri: str) -> ErrorDocument | None:
    try:
        return ErrorDocument.FromString(await store.get(join(output_uri, "error.pb")))
    except ObjectMissing:
        return None


def _failed(error: ContainerError) -> Outcome:
    kinds = {ExecutionError.USER: ErrorInfo.KIND_USER, ExecutionError.SYSTEM: ErrorInfo.KIND_SYSTEM}
    kind = kinds.get(error.origin, ErrorInfo.KIND_UNSPECIFIED)
    info = ErrorInfo(code=error.code, message=cut(error.message), kind=kind)
    return Outcome(error=info, recoverable=error.kind == ContainerError.RECOVERABLE)


def _system_failure(ended: ProcessExit) -> Outcome:
    if ended.code == 0:
        code, what = "OutputsMissing", "the process ended with exit code 0, but wrote neither outputs.pb nor error.pb"
    elif ended.code > 0:
        code, what = "ExitCode", f"the process ended with exit code {ended.code} and no error.pb"
    else:
        code, what = "Signal", f"the process was ended by signal {-ended.code} ({_signal_name(-ended.code)})"
    message = f"{what}; last lines of its log:\n{ended.last_lines}" if ended.last_lines else what
    if len(message.encode()) > MESSAGE_BYTES:
        head = f"{what}; last lines of its log:\n"
        message = head + cut(ended.last_lines, MESSAGE_BYTES - len(head.encode()))
    return system_error(code, message, has_log=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
