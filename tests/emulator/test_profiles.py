"""The product's stacks in two profiles, for a life in the emulator: deployed, left alone, changed, failed, destroyed.

The templates are those of `app.py`, unmodified; only that cdk-nag gives its opinion on them is left to other tests.
"""

import json
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from signalbox_emulator.aws import ACCOUNT
from stacks.matrix import settings_of, synthesise
from support.copied_project import ROOT, Project, hostile
from support.listening import listening_addresses

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # five runs of the cdk CLI over ten stacks

_CHANGE: dict[str, object] = {"service.serve.least": 4, "database.max_capacity": 24}
_BROKEN = {"Type": "AWS::Logs::LogGroup", "Properties": {"Colour": "red"}}
_PROCESSOR_SECONDS = 12
"""What a deployment without changes may take: server and CLI share two cores, so under ten seconds by the clock."""


def _use(project: Project, name: str, changes: dict[str, object] | None = None) -> list[str]:
    """Make the assembly of a configuration that of the project; return its stacks."""
    folder = project.folder / "assembly"
    shutil.rmtree(folder)
    synthesise(settings_of(name, changes), folder, second_opinions=False)
    return [file.name.removesuffix(".template.json") for file in folder.glob("*.template.json")]


def _spoil(assembly: Path, stack: str) -> None:
    """Change the database in the stack's template, and have the last of its resources fail."""
    file = assembly / f"{stack}.template.json"
    template = json.loads(file.read_text())
    cluster = next(r for r in template["Resources"].values() if r["Type"] == "AWS::RDS::DBCluster")
    cluster["Properties"]["ServerlessV2ScalingConfiguration"]["MaxCapacity"] = 32
    template["Resources"]["Broken"] = _BROKEN | {"DependsOn": list(template["Resources"])}
    file.write_text(json.dumps(template))
    # cdk publishes a template under its hash, and not again.
    assets = assembly / f"{stack}.assets.json"
    files = json.loads(assets.read_text())["files"]
    former = next(key for key, asset in files.items() if asset["source"]["path"] == file.name)
    for listed in (assets, assembly / "manifest.json"):
        listed.write_text(listed.read_text().replace(former, "f" * len(former)))


@contextmanager
def _kept(project: Project) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """Deploy, and yield the process that goes on serving, its endpoint, and what it said."""
    with subprocess.Popen(project.command("--keep"), stderr=subprocess.PIPE, text=True, env=hostile()) as process:
        assert process.stderr
        said = ""
        try:
            for line in process.stderr:
                said += line
                if found := re.match(r"serving on (\S+)", line):
                    yield process, found[1], said
                    return
            raise AssertionError(f"it does not serve:\n{said}")
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130


def _read(endpoint: str) -> dict[str, Any]:
    """Return what the changes are about, read without any code of the emulator."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "x"}
        return cast("Any", boto3).client(service, "us-east-1", endpoint_url=endpoint, **keys)

    (cluster,) = client("rds").describe_db_clusters()["DBClusters"]
    targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    return {
        "capacity": cluster["ServerlessV2ScalingConfiguration"]["MaxCapacity"],
        "least": max(target["MinCapacity"] for target in targets),
        "groups": sorted(group["GroupId"] for group in client("ec2").describe_security_groups()["SecurityGroups"]),
        "logs": sorted(group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]),
    }


@pytest.mark.parametrize(("name", "count"), [("standard", 9), ("ha-dr", 10)])
def test_a_profile_lives_its_life(tmp_path: Path, name: str, count: int) -> None:
    project = Project(tmp_path)
    stacks = _use(project, name)
    assert len(stacks) == count
    given = ROOT / "config" / "given" / f"{name}.yaml"

    first = project.deploy(*(("--given", str(given)) if given.exists() else ()))
    assert first.returncode == 0, first.stderr
    assert [stack for stack in stacks if f"{stack}: deployed" not in first.stderr] == []

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = project.deploy()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert [stack for stack in stacks if f"{stack}: no changes" not in again.stderr] == [], again.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < _PROCESSOR_SECONDS

    recorded = project.state_dir
    with _kept(project) as (process, endpoint, said):
        assert said.count(": no changes") == count
        assert listening_addresses(process.pid) == {"127.0.0.1"}
        former = _read(endpoint)
        assert (former["capacity"], former["least"]) != (24, 4)

        project.state_dir = tmp_path / "guest"
        _use(project, name, _CHANGE)
        changed = project.deploy("--endpoint", endpoint)
        assert changed.returncode == 0, changed.stderr
        assert "signalbox-data: deployed" in changed.stderr
        assert "signalbox-service: deployed" in changed.stderr
        assert "signalbox-keys: no changes" in changed.stderr
        wanted = former | {"capacity": 24, "least": 4}
        assert _read(endpoint) == wanted

        _spoil(project.folder / "assembly", "signalbox-data")
        failed = project.deploy("--endpoint", endpoint)
        assert failed.returncode == 7
        assert "stack signalbox-data, resource Broken (AWS::Logs::LogGroup)" in failed.stderr
        assert _read(endpoint) == wanted

    project.state_dir = recorded
    gone = project.destroy()
    assert gone.returncode == 0, gone.stderr
    assert sum(line.endswith(": destroyed") for line in gone.stderr.splitlines()) == count
    assert "deletion protection of database" in gone.stderr
    assert not (recorded / "stacks.json").exists()
