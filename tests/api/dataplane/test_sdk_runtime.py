"""The stock SDK's own runtime (`a0`), started by the agent from a request that the stock SDK built."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from flyteidl2.common.phase_pb2 import ACTION_PHASE_FAILED, ACTION_PHASE_SUCCEEDED
from flyteidl2.task.common_pb2 import Outputs
from flyteidl2.task.task_definition_pb2 import TaskSpec
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo

from support.dataplane import data_plane
from support.flyte_environment import flyte_bin
from support.s3_bucket import s3_bucket
from support.stub_control_plane import StubControlPlane, stub_control_plane

PROGRAM = """
import flyte

env = flyte.TaskEnvironment(name="adder")


@env.task
async def add(a: int, b: int) -> int:
    print("adding", a, b)
    if b == 0:
        raise ValueError("nothing to add")
    return a + b
"""
BUILD = """
import asyncio, pathlib, sys
import flyte
import program

out = pathlib.Path(sys.argv[1])
flyte.init(root_dir=pathlib.Path(program.__file__).parent, project="flytesnacks", domain="development", org="local")


async def main():
    context = flyte.with_runcontext(mode="remote", dry_run=True, copy_bundle_to=out)
    for name, b in (("good", 3), ("bad", 0)):
        run = await context.run.aio(program.add, a=2, b=b)
        (out / name).write_bytes(run.inputs.proto_inputs.SerializeToString())
    (out / "spec").write_bytes(run.task_spec.SerializeToString())


asyncio.run(main())
"""


@dataclass(frozen=True)
class Built:
    """What the stock SDK makes of PROGRAM: one spec, and inputs of two runs."""

    spec: TaskSpec
    good: bytes
    bad: bytes


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    program, out = tmp_path_factory.mktemp("program"), tmp_path_factory.mktemp("out")
    (program / "program.py").write_text(PROGRAM)
    (program / "build.py").write_text(BUILD)
    build = subprocess.run(
        [flyte_bin() / "python", "build.py", out], cwd=program, capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stderr
    spec = TaskSpec.FromString((out / "spec").read_bytes())
    assert spec.task_template.container.args[0] == "a0"
    return Built(spec, (out / "good").read_bytes(), (out / "bad").read_bytes())


def the_sum(outputs: bytes) -> list[int]:
    return [literal.value.scalar.primitive.integer for literal in Outputs.FromString(outputs).literals]


@pytest.mark.slow
async def test_the_stock_runtime_computes_fails_and_leaves_its_files(
    own_stub: StubControlPlane, tmp_path: Path, built: Built
) -> None:
    runs = tmp_path / "store/runs/r1"
    for name, content in (("good", built.good), ("bad", built.bad)):
        (runs / name).mkdir(parents=True)
        (runs / name / "inputs.pb").write_bytes(content)

    async with data_plane(own_stub, tmp_path, RUNTIME_BIN=str(flyte_bin())):
        own_stub.grant("good", built.spec)
        own_stub.grant("bad", built.spec)
        good, bad = await own_stub.ended("good", "bad", within=60)

    assert good.event.phase == ACTION_PHASE_SUCCEEDED, good.event.error_info.message
    assert the_sum((runs / "good/1/outputs.pb").read_bytes()) == [5]
    assert "adding 2 3" in (runs / "good/1/task.log").read_text()
    assert (bad.event.phase, bad.event.error_info.kind) == (ACTION_PHASE_FAILED, ErrorInfo.KIND_USER)
    assert "nothing to add" in bad.event.error_info.message


@pytest.mark.slow
async def test_the_stock_runtime_works_on_s3(tmp_path: Path, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with s3_bucket() as bucket:
        bucket.put("p/runs/r1/a0/inputs.pb", built.good)
        async with (
            stub_control_plane(f"s3://{bucket.name}/p") as stub,
            data_plane(stub, tmp_path, RUNTIME_BIN=str(flyte_bin()), S3_ENDPOINT_URL=bucket.endpoint),
        ):
            stub.grant("a0", built.spec)
            (end,) = await stub.ended("a0", within=60)

        assert end.event.phase == ACTION_PHASE_SUCCEEDED, end.event.error_info.message
        assert the_sum(bucket.get("p/runs/r1/a0/1/outputs.pb")) == [5]
        assert b"adding 2 3" in bucket.get("p/runs/r1/a0/1/task.log")
