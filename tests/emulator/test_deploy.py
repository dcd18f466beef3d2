"""The command `signalbox-emulator deploy` with the real cdk CLI: a small project, and the product's own stacks."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.copied_project import ROOT, Project, hostile
from support.listening import descendants
from support.processes import alive

pytestmark = pytest.mark.slow

JsonObject = dict[str, Any]

_LOGS = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/small", "RetentionInDays": 7}}
_PROGRAM = (
    "import boto3; found = boto3.client('logs').describe_log_groups()['logGroups'];"
    "print([(g['logGroupName'], g.get('retentionInDays')) for g in found])"
)
_READ = [sys.executable, "-c", _PROGRAM]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_deploy_again_change_and_forget(project: Project) -> None:
    project.write({"Logs": _LOGS})
    first = project.deploy(then=_READ)
    assert (first.returncode, first.stdout.strip()) == (0, "[('/small', 7)]"), first.stderr
    assert "small: deployed" in first.stderr

    again = project.deploy(then=["sh", "-c", 'test "$SIGNALBOX_EMULATOR" = 1 && exit 9'])
    assert again.returncode == 9, again.stderr
    assert again.stderr.splitlines()[0] == "nothing changed since the last synthesis"
    assert "small: no changes" in again.stderr
    assert "bootstrapping" not in again.stderr

    changed = json.loads(json.dumps(_LOGS))
    changed["Properties"]["RetentionInDays"] = 30
    project.write({"Logs": changed})
    third = project.deploy(then=_READ)
    assert (third.returncode, third.stdout.strip()) == (0, "[('/small', 30)]"), third.stderr

    forget = [
        sys.executable,
        "-m",
        "signalbox_emulator",
        "forget",
        "--state-dir",
        str(project.state_dir),
        "-o",
        "json",
    ]
    answers = [json.loads(subprocess.run(forget, capture_output=True, check=True).stdout) for _ in range(2)]
    assert [answer["existed"] for answer in answers] == [True, False]


def test_a_type_that_is_not_known_ends_with_7_and_one_sentence(project: Project) -> None:
    project.write({"Logs": _LOGS, "Odd": {"Type": "AWS::Athena::WorkGroup"}})

    result = project.deploy(then=_READ)

    assert result.returncode == 7
    assert result.stdout == ""
    assert "AWS::Athena::WorkGroup (Odd)" in result.stderr.splitlines()[-1]


def test_a_failing_resource_is_named_and_the_next_deployment_starts_clean(project: Project) -> None:
    bad = json.loads(json.dumps(_LOGS))
    bad["Properties"]["Colour"] = "red"
    project.write({"Logs": bad})
    failed = project.deploy(then=_READ)
    assert failed.returncode == 7
    assert "stack small, resource Logs (AWS::Logs::LogGroup): AWS::Logs::LogGroup.Colour" in failed.stderr

    project.write({"Logs": _LOGS})
    result = project.deploy(then=_READ)
    assert (result.returncode, result.stdout.strip()) == (0, "[('/small', 7)]"), result.stderr


def test_a_half_written_state_is_discarded_with_a_sentence(project: Project) -> None:
    project.write({"Logs": _LOGS})
    project.state_dir.mkdir()
    (project.state_dir / "stacks.json").write_text('{"format": 1, "sha256": "9f86d081884c7d65')

    result = project.deploy(then=_READ)

    assert result.returncode == 0, result.stderr
    assert "the recorded account is discarded, and starts empty" in result.stderr
    assert "small: deployed" in result.stderr


def test_a_zone_that_was_there_before_is_there_at_every_start(project: Project, tmp_path: Path) -> None:
    given = tmp_path / "given.yaml"
    given.write_text("hosted_zones: {ZGIVEN: given.example.com}")
    record = {"HostedZoneId": "ZGIVEN", "Name": "a.given.example.com", "Type": "A", "TTL": "60"}
    project.write({"R": {"Type": "AWS::Route53::RecordSet", "Properties": record | {"ResourceRecords": ["192.0.2.1"]}}})
    program = (
        "import boto3; found = boto3.client('route53').list_resource_record_sets(HostedZoneId='ZGIVEN');"
        "print([r['Name'] for r in found['ResourceRecordSets'] if r['Type'] == 'A'])"
    )
    read = [sys.executable, "-c", program]

    first, second = project.deploy("--given", str(given), then=read), project.deploy(then=read)

    assert (first.returncode, first.stdout.strip()) == (0, "['a.given.example.com.']"), first.stderr
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert "small: no changes" in second.stderr


def test_a_record_that_cannot_be_made_again_is_discarded_and_said(project: Project, tmp_path: Path) -> None:
    given = tmp_path / "given.yaml"
    given.write_text("hosted_zones: {ZGIVEN: given.example.com}")
    record = {"HostedZoneId": "ZGIVEN", "Name": "a.given.example.com", "Type": "A", "TTL": "60"}
    project.write({"R": {"Type": "AWS::Route53::RecordSet", "Properties": record | {"ResourceRecords": ["192.0.2.1"]}}})
    assert project.deploy("--given", str(given)).returncode == 0
    (project.state_dir / "given.yaml").unlink()

    failed = project.deploy(then=_READ)

    assert failed.returncode == 7
    assert "the recorded account is discarded, and the next start is empty: stack small" in failed.stderr
    assert failed.stdout == ""
    assert project.deploy("--given", str(given)).returncode == 0


def test_an_interrupt_stops_everything_within_five_seconds(project: Project) -> None:
    project.write({"Logs": _LOGS})
    then = ["sh", "-c", "echo up; exec sleep 1000"]
    with subprocess.Popen(
        project.command(then=then), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=hostile()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        children = descendants(process.pid)
        assert len(children) >= 2

        second = project.deploy()
        assert second.returncode == 5
        assert f"in use by process {process.pid}" in second.stderr

        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - started < 5
    assert not [pid for pid in children if alive(pid)]


@pytest.mark.timeout(400)
def test_the_project_s_own_stacks_deploy_and_read_back_and_the_second_time_nothing_changes(tmp_path: Path) -> None:
    report, where = tmp_path / "report.json", ["--project", str(ROOT), "--state-dir", str(tmp_path / "state")]
    audit = [sys.executable, str(Path(__file__).with_name("read_back.py")), str(report)]
    command = [sys.executable, "-m", "signalbox_emulator", "deploy", *where, "--", *audit]

    environment = hostile() | {"PYTHONPATH": str(ROOT / "tests")}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)

    first = run()
    assert first.returncode == 0, first.stderr
    found = json.loads(report.read_text())
    assert found["lost"] == []
    assert found["properties"]["kept"] > 250
    assert 0 < found["properties"]["excused"] < 40
    assert found["plain"]["encrypted"] is True
    assert found["plain"]["key_rotates"] is True
    assert found["plain"]["backup_days"] >= 35
    assert len(set(found["plain"]["zones"])) == 2
    assert found["plain"]["protocols"] == ["HTTP", "HTTPS"]

    second = run()
    assert second.returncode == 0, second.stderr
    assert [f"{stack}: no changes" in second.stderr for stack in found["stacks"]] == [True] * len(found["stacks"])
    assert json.loads(report.read_text())["lost"] == []
