"""A real `signalbox-dataplane serve` process for tests, and task specs to run on it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flyteidl2.core.literals_pb2 import KeyValuePair
from flyteidl2.core.tasks_pb2 import Container, TaskTemplate
from flyteidl2.dataproxy import dataproxy_service_pb2
from flyteidl2.task.task_definition_pb2 import TaskSpec

from signalbox_wire.connect import RpcClient
from support.stub_control_plane import JOIN_TOKEN, StubControlPlane

DATAPROXY = dataproxy_service_pb2.DESCRIPTOR.services_by_name["DataProxyService"]
OUT = 'out="${0#file://}"; mkdir -p "$out"; '
SUCCEED = OUT + ': > "$out/outputs.pb"'


@dataclass
class DataPlane:
    process: asyncio.subprocess.Process
    endpoint: str
    state_dir: Path
    log: Path

    def rpc(self, token: str | None = None) -> RpcClient:
        return RpcClient(self.endpoint, services=[DATAPROXY], authorization=lambda: token)

    async def exit_code(self, *, within: float = 10) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()


def environment(stub: StubControlPlane, state_dir: Path, **settings: str) -> dict[str, str]:
    given = {
        "CONTROL_PLANE": stub.url,
        "JOIN_TOKEN": JOIN_TOKEN,
        "STATE_DIR": str(state_dir),
        "STORAGE": stub.storage,
        "LISTEN": "127.0.0.1:0",
    }
    own = {f"SIGNALBOX_DATAPLANE_{name}": value for name, value in (given | settings).items() if value}
    return {**os.environ, **own}


@asynccontextmanager
async def data_plane(stub: StubControlPlane, directory: Path, **settings: str) -> AsyncGenerator[DataPlane]:
    """A data plane that said it is ready; SIGTERM at the end unless it ended by itself."""
    state_dir, log = directory / "state", directory / "dataplane.log"
    with log.open("ab") as stderr:
        process = await start(environment(stub, state_dir, **settings), stderr=stderr.fileno())
    try:
        if process.stdout is None:
            raise AssertionError("no pipe")
        async with asyncio.timeout(15):
            line = await process.stdout.readline()
        if not line:
            raise AssertionError(f"the data plane ended: {log.read_text()}")
        yield DataPlane(process, json.loads(line)["endpoint"], state_dir, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            await process.communicate()


async def start(env: dict[str, str], *, stderr: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signalbox_dataplane", "serve", env=env, stdout=asyncio.subprocess.PIPE, stderr=stderr
    )


def shell_task(script: str, *args: str, env: dict[str, str] | None = None, task_type: str = "shell") -> TaskSpec:
    """A task that runs a shell script; `$0` is its output prefix, `$1`... are `args`."""
    container = Container(
        image="none",
        command=["/bin/sh", "-c"],
        args=[script, "{{.outputPrefix}}", *args],
        env=[KeyValuePair(key=key, value=value) for key, value in (env or {}).items()],
    )
    return TaskSpec(task_template=TaskTemplate(type=task_type, container=container), short_name="shell")
