"""Which value each `{{.name}}` in a container's command stands for.

Names are matched without regard to case or spaces, as the Flyte backend does. What is unknown stays as written, so
that a task sees what was not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

from signalbox_dataplane.executor import Attempt
from signalbox_dataplane.store import join

_TEMPLATE = re.compile(r"\{\{\s*\.\s*(\w+)\s*\}\}")
CHECKPOINTS = "_flytecheckpoints"


def values(attempt: Attempt) -> dict[str, str]:
    """Value of each template, by its name in lower case."""
    grant, action = attempt.grant, attempt.key.action
    raw = attempt.run_spec.raw_data_storage.raw_data_prefix
    attempt_path = (action.run, action.name, str(attempt.key.attempt))
    return {
        "input": attempt.inputs_uri,
        "inputprefix": attempt.inputs_uri.rpartition("/")[0],
        "outputprefix": grant.output_uri,
        "rawoutputdataprefix": join(raw, *attempt_path) if raw else join(grant.output_uri, "raw"),
        "checkpointoutputprefix": join(grant.output_uri, CHECKPOINTS),
        "prevcheckpointprefix": join(grant.previous_output_uri, CHECKPOINTS) if grant.previous_output_uri else "",
        "runname": action.run,
        "actionname": action.name,
        "runstarttime": rfc3339(attempt.run_start_time),
        "perretryuniquekey": "-".join(attempt_path),
        "namespace": f"{action.project}-{action.domain}",
    }


def render(words: Iterable[str], of: Mapping[str, str]) -> list[str]:
    """The words with their templates replaced; none is dropped, an empty value leaves an empty word."""
    return [_TEMPLATE.sub(lambda match: of.get(match[1].lower(), match[0]), word) for word in words]


def rfc3339(time: Timestamp) -> str:
    """The time in UTC to the microsecond, always written the same way: the SDK hashes it into names of children."""
    return time.ToDatetime(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
