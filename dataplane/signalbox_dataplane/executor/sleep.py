"""`core-sleep`: the benchmark leaf, a task that only sleeps. It needs neither process nor slot nor log.

The duration is its one input and lies in the object store, so only the data plane can know it.
"""

from __future__ import annotations

import asyncio

from flyteidl2.task.common_pb2 import Inputs
from google.protobuf.message import DecodeError

from signalbox_dataplane.errors import ObjectMissing, StoreError
from signalbox_dataplane.executor import Attempt, OnStart, Outcome, Started, system_error, user_error, utc_now
from signalbox_dataplane.store import ObjectStore

TASK_TYPE = "core-sleep"


class SleepExecutor:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def run(self, attempt: Attempt, on_start: OnStart) -> Outcome:
        uri = attempt.inputs_uri
        try:
            inputs = Inputs.FromString(await self._store.get(uri))
        except ObjectMissing:
            return user_error("InputsMissing", f"no inputs at {uri}")
        except StoreError as error:
            return system_error("StoreUnavailable", str(error))
        except DecodeError:
            return user_error("InputsUnreadable", f"{uri} holds no Inputs message")
        seconds = _seconds(inputs)
        if seconds is None:
            return user_error("WrongInputs", f"{TASK_TYPE} wants exactly one input of type duration, not negative")
        if seconds:
            on_start(Started(at=utc_now(), has_log=False))
            await asyncio.sleep(seconds)
        return Outcome(has_log=False)


def _seconds(inputs: Inputs) -> float | None:
    if len(inputs.literals) != 1:
        return None
    primitive = inputs.literals[0].value.scalar.primitive
    if primitive.WhichOneof("value") != "duration":
        return None
    seconds = primitive.duration.ToTimedelta().total_seconds()
    return seconds if seconds >= 0 else None
