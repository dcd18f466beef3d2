"""`make deploy-localstack` without LocalStack: a docker that starts our own emulator in its place."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from signalbox_emulator.aws import ACCOUNT
from support.copied_project import ROOT, Project

_TOKEN = "ls-secret-token"
_DOCKER = """#!{python}
import json, os, signal, subprocess, sys
from pathlib import Path
folder = Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[1:], os.environ.get("LOCALSTACK_AUTH_TOKEN")]) + chr(10))
if sys.argv[1] == "run":
    port = sys.argv[sys.argv.index("--publish") + 1].split(":")[1]
    with (folder / "log").open("w") as log:
        served = subprocess.Popen([sys.executable, {served!r}, port], stdout=log, stderr=log, start_new_session=True)
    (folder / "pid").write_text(str(served.pid))
elif sys.argv[1] == "logs":
    print("the token is", {token!r})
elif sys.argv[1] == "rm":
    os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
"""
_GROUP = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/there"}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (project.folder / "node_modules").symlink_to(ROOT / "node_modules")
    return project


def _deploy(project: Project, port: int = 4566, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "localstack.py"), "--project", str(project.folder)]
    command += ["--state-dir", str(project.state_dir), "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALSTACK_")}
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False, timeout=110)


def _docker(folder: Path) -> str:
    """Put the stand-in into `folder`; return a PATH that begins with it."""
    folder.mkdir()
    served = str(Path(__file__).with_name("served_as_localstack.py"))
    docker = folder / "docker"
    docker.write_text(_DOCKER.format(python=sys.executable, folder=str(folder), served=served, token=_TOKEN))
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_without_a_container_engine_it_says_where_to_get_one(project: Project, tmp_path: Path) -> None:
    result = _deploy(project, PATH=str(tmp_path), LOCALSTACK_AUTH_TOKEN=_TOKEN)

    assert result.returncode == 3
    assert "neither docker nor podman is on PATH" in result.stderr
    assert _TOKEN not in result.stderr


def test_without_a_token_it_says_where_to_get_one_and_starts_nothing(project: Project, tmp_path: Path) -> None:
    result = _deploy(project, PATH=_docker(tmp_path / "bin"))

    assert result.returncode == 4
    assert "LOCALSTACK_AUTH_TOKEN is not set" in result.stderr
    assert "app.localstack.cloud" in result.stderr
    assert not (tmp_path / "bin" / "calls").exists()


def test_a_container_that_does_not_start_ends_with_6(project: Project, tmp_path: Path) -> None:
    path = _docker(tmp_path / "bin")
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\necho no such image >&2; exit 125\n")

    result = _deploy(project, PATH=path, LOCALSTACK_AUTH_TOKEN=_TOKEN)

    assert result.returncode == 6
    assert "no such image" in result.stderr
    assert "ended with 125" in result.stderr


@pytest.mark.slow
def test_the_stacks_go_to_the_container_and_the_token_to_its_environment_alone(
    project: Project, tmp_path: Path
) -> None:
    path, port = _docker(tmp_path / "bin"), _free_port()
    project.write({"Group": _GROUP})

    result = _deploy(project, port, PATH=path, LOCALSTACK_AUTH_TOKEN=_TOKEN, LOCALSTACK_IMAGE="mirror/localstack:1")

    assert result.returncode == 0, result.stderr
    assert "small: deployed" in result.stderr
    calls = [json.loads(line) for line in (tmp_path / "bin" / "calls").read_text().splitlines()]
    assert [(arguments[0], token) for arguments, token in calls] == [("run", _TOKEN), ("logs", None), ("rm", None)]
    run = calls[0][0]
    assert run[-1] == "mirror/localstack:1"
    assert f"127.0.0.1:{port}:4566" in run
    assert "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES=0" in run
    said = result.stdout + result.stderr + json.dumps([arguments for arguments, _ in calls])
    written = [file.read_text(errors="replace") for file in project.state_dir.rglob("*") if file.is_file()]
    assert not [text for text in [said, *written] if _TOKEN in text]
    assert not (project.state_dir / "stacks.json").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_what_somebody_else_serves_is_deployed_to_and_left_alone(project: Project, account: object) -> None:
    endpoint: str = account.endpoint  # pyright: ignore[reportAttributeAccessIssue]
    project.write({"Group": _GROUP})

    first, second = (project.deploy("--endpoint", endpoint) for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "small: deployed" in first.stderr
    assert "small: no changes" in second.stderr
    logs = boto3.client(
        "logs", "us-east-1", endpoint_url=endpoint, aws_access_key_id=ACCOUNT, aws_secret_access_key="x"
    )
    assert [group.get("logGroupName") for group in logs.describe_log_groups(logGroupNamePrefix="/there")["logGroups"]]
    assert not (project.state_dir / "stacks.json").exists()
    nobody = project.deploy("--endpoint", f"http://localhost:{_free_port()}")
    assert nobody.returncode == 7
    assert "nobody answers at http://localhost:" in nobody.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
