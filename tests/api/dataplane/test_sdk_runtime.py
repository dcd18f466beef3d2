"""The stock SDK's own runtime (`a0`), started by the agent from a request that the stock SDK built."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from flyteidl2.common.phase_pb2 import ACTION_PHASE_FAILED, ACTION_PHASE_SUCCEEDED
from flyteidl2.task.common_pb2 import Outputs
from flyteidl2.task.task_definition_pb2 import TaskSpec
from flyteidl2.workflow.run_definition_pb2 import ErrorInfo
from support.dataplane import data_plane
from support.flyte_environment import flyte_bin
from support.stub_control_plane import StubControlPlane

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

bundle_dir, inputs_uri, b = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
flyte.init(root_dir=pathlib.Path(program.__file__).parent, project="flytesnacks", domain="development", org="local")


async def main():
    context = flyte.with_runcontext(mode="remote", dry_run=True, copy_bundle_to=bundle_dir)
    run = await context.run.aio(program.add, a=2, b=b)
    inputs_uri.parent.mkdir(parents=True)
    inputs_uri.write_bytes(run.inputs.proto_inputs.SerializeToString())
    (bundle_dir / "spec.pb").write_bytes(run.task_spec.SerializeToString())


asyncio.run(main())
"""


async def built(stub: StubControlPlane, directory: Path, *, b: int) -> TaskSpec:
    """The TaskSpec that the stock SDK makes of PROGRAM; its inputs lie where action a0 expects them."""
    program, bundle = directory / "program", directory / "bundle"
    program.mkdir()
    bundle.mkdir()
    (program / "program.py").write_text(PROGRAM)
    (program / "build.py").write_text(BUILD)
    inputs = Path(stub.storage.removeprefix("file://")) / "runs/r1/a0/inputs.pb"
    python = flyte_bin() / "python"
    build = await asyncio.create_subprocess_exec(
        python, "build.py", bundle, inputs, str(b), cwd=program, stdout=-1, stderr=-2
    )
    printed, _ = await build.communicate()
    assert build.returncode == 0, printed.decode()
    return TaskSpec.FromString((bundle / "spec.pb").read_bytes())


@pytest.mark.slow
async def test_the_stock_runtime_computes_and_leaves_outputs(own_stub: StubControlPlane, tmp_path: Path) -> None:
    spec = await built(own_stub, tmp_path, b=3)
    assert spec.task_template.container.args[0] == "a0"
    async with data_plane(own_stub, tmp_path, RUNTIME_BIN=str(flyte_bin())):
        own_stub.grant("a0", spec)
        (end,) = await own_stub.ended("a0", within=60)

    assert end.event.phase == ACTION_PHASE_SUCCEEDED, end.event.error_info.message
    folder = Path(end.event.outputs.output_uri.removeprefix("file://"))
    outputs = Outputs.FromString((folder / "outputs.pb").read_bytes())
    assert [literal.value.scalar.primitive.integer for literal in outputs.literals] == [5]
    assert "adding 2 3" in (folder / "task.log").read_text()


@pytest.mark.slow
async def test_an_exception_in_a_task_is_reported_as_the_users(own_stub: StubControlPlane, tmp_path: Path) -> None:
    spec = await built(own_stub, tmp_path, b=0)
    async with data_plane(own_stub, tmp_path, RUNTIME_BIN=str(flyte_bin())):
        own_stub.grant("a0", spec)
        (end,) = await own_stub.ended("a0", within=60)

    assert (end.event.phase, end.event.error_info.kind) == (ACTION_PHASE_FAILED, ErrorInfo.KIND_USER)
    assert "nothing to add" in end.event.error_info.message
