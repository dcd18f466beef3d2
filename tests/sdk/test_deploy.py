"""Deployed tasks: deploy, list, run by name, deploy again."""

from __future__ import annotations

import pytest

from support.stack import Stack, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DEPLOYED = """
    import flyte

    env = flyte.TaskEnvironment(name="deployed")

    @env.task
    async def double(x: int, by: int = 2) -> int:
        return x * by
"""


def test_a_deployed_task_is_listed_and_runs_by_name_with_its_defaults(stack: Stack) -> None:
    program = stack.program("deployed", DEPLOYED)

    stack.flyte("deploy", str(program), "env")
    listed = stack.flyte("get", "task").stdout
    run = stack.flyte("run", "deployed-task", "deployed.double", "--x", "21").stdout

    assert "double" in listed
    name = run_name(run)
    assert stack.until_phase(name, "SUCCEEDED", "FAILED") == "SUCCEEDED"
    assert "42" in stack.flyte("get", "io", name, "--outputs-only").stdout


def test_deploying_the_same_version_again_changes_nothing(stack: Stack) -> None:
    program = stack.program("deployed", DEPLOYED)
    stack.flyte("deploy", "--version", "v1", str(program), "env")
    before = versions(stack)

    again = stack.flyte("deploy", "--version", "v1", str(program), "env")

    assert again.returncode == 0
    assert "v1" in before
    assert versions(stack) == before


def versions(stack: Stack) -> list[str]:
    name = {"org": "local", "project": "flytesnacks", "domain": "development", "name": "deployed.double"}
    listed = stack.ask("flyteidl2.task.TaskService/ListVersions", taskName=name, request={"limit": 100})
    return [version["version"] for version in listed["versions"]]
