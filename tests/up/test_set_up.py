"""Set-up says what it lacks, uses what fits, and does nothing twice. Its tools are small scripts here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

UV = """
import os, pathlib, sys
if "--version" in sys.argv:
    print("uv 0.13.9")
    sys.exit()
pathlib.Path("calls").open("a").write(" ".join(sys.argv[1:]) + "\\n")
if pathlib.Path("no-index").exists():
    sys.exit("error: the index does not answer")
home = pathlib.Path(os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")) / "bin"
home.mkdir(parents=True, exist_ok=True)
for name in ("python", "flyte"):
    (home / name).write_text("#!/bin/sh\\n")
    (home / name).chmod(0o755)
"""

NPM = """
import pathlib
home = pathlib.Path("node_modules/.bin")
home.mkdir(parents=True, exist_ok=True)
(home / "cdk").touch()
pathlib.Path("calls").open("a").write("npm\\n")
"""


@dataclass
class Fresh:
    """A checkout that was never set up, on a machine that has the tools in `machine`."""

    root: Path
    machine: Path

    def tool(self, name: str, program: str) -> None:
        path = self.machine / name
        path.write_text(f"#!{sys.executable}\n{program}")
        path.chmod(0o755)

    def set_up(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "tools/set_up.py"],
            cwd=self.root,
            env={"PATH": str(self.machine), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    root, machine = tmp_path / "checkout", tmp_path / "machine"
    machine.mkdir()
    members: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    inputs = ["pyproject.toml", "uv.lock", "package.json", "package-lock.json", "tools/set_up.py"]
    inputs += ["dataplane/runtime/pyproject.toml", "dataplane/runtime/uv.lock"]
    for name in [*inputs, *(f"{member}/pyproject.toml" for member in members)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return Fresh(root, machine)


def test_a_second_run_does_nothing_and_is_quick(fresh: Fresh) -> None:
    fresh.tool("uv", UV)
    fresh.tool("node", "print('v24.1.0')")
    fresh.tool("npm", NPM)
    first = fresh.set_up()
    assert first.returncode == 0, first.stderr
    calls = fresh.calls()

    began = time.monotonic()
    second = fresh.set_up()

    assert (second.returncode, second.stderr, fresh.calls()) == (0, "", calls)
    assert time.monotonic() - began < 1
    assert len(calls) == 3


@pytest.mark.parametrize("changed", ["uv.lock", "package-lock.json", "service/pyproject.toml", "wire/pyproject.toml"])
def test_a_changed_lock_is_installed(fresh: Fresh, changed: str) -> None:
    fresh.tool("uv", UV)
    fresh.tool("node", "print('v24.1.0')")
    fresh.tool("npm", NPM)
    assert fresh.set_up().returncode == 0

    with (fresh.root / changed).open("a") as file:
        file.write("\n")

    assert fresh.set_up().returncode == 0
    assert len(fresh.calls()) == 6


def test_a_failed_run_is_repeated_and_shows_what_failed(fresh: Fresh) -> None:
    fresh.tool("uv", UV)
    (fresh.root / "no-index").touch()

    failed = [fresh.set_up(), fresh.set_up()]

    assert [run.returncode for run in failed] == [6, 6]
    assert all("workspace failed" in run.stderr and "the index does not answer" in run.stderr for run in failed)


def test_a_machine_without_venv_is_told_which_package_to_install(fresh: Fresh, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "venv.py").write_text("raise SystemExit('ensurepip is not available')")

    told = fresh.set_up(PYTHONPATH=str(tmp_path / "broken"))

    assert told.returncode == 6
    assert f"apt-get install python3.{sys.version_info.minor}-venv" in told.stderr
    assert "ensurepip is not available" in told.stderr


def test_an_old_node_is_not_used(fresh: Fresh) -> None:
    fresh.tool("uv", UV)
    fresh.tool("node", "print('v20.20.2')")
    fresh.tool("npm", NPM)

    told = fresh.set_up()

    assert "no node 22 or newer with npm on this machine: using the one of the PyPI wheel" in told.stderr
    assert told.returncode == 6  # the workspace of this test has no wheel
    assert "the wheel's node does not run here" in told.stderr


def test_every_member_of_the_workspace_is_an_input() -> None:
    text = (ROOT / "tools" / "set_up.py").read_text()
    members: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]

    assert f"MEMBERS = {tuple(members)}".replace("'", '"') in text
