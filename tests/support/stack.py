"""The product as a user has it: `signalbox up --only service` in a folder of its own, and the stock SDK beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.checkout import free_port, until
from support.database import VERSION
from support.invariants import violations
from support.processes import alive

ROOT = Path(__file__).parent.parent.parent
FLYTE = ROOT / ".signalbox" / "flyte"
SLOTS = 6
"""Of the data plane that tests of the SDK share."""


@dataclass
class Stack:
    """A running product. Everything that it writes is below `root`."""

    root: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def state(self) -> Path:
        return self.root / ".signalbox"

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def program(self, name: str, text: str) -> Path:
        """Write a program for the SDK into the stack's folder."""
        path = self.root / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        return path

    def flyte(self, *words: str, check: bool = True, within: float = 90) -> subprocess.CompletedProcess[str]:
        """The stock CLI, where it finds the configuration that `signalbox up` wrote."""
        done = self._run(str(FLYTE / "bin" / "flyte"), *words, within=within)
        if check and done.returncode != 0:
            raise AssertionError(f"flyte {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def python(self, program: Path, *words: str, within: float = 90) -> str:
        """Run a program in the SDK's environment; what it printed."""
        done = self._run(str(FLYTE / "bin" / "python"), str(program), *words, within=within)
        if done.returncode != 0:
            raise AssertionError(f"{program.name}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def ask(self, rpc: str, **request: Any) -> dict[str, Any]:
        """An RPC in JSON, as a browser would send it; patient while the service is away, as the SDK is."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = httpx.post(f"{self.url}/{rpc}", json=request, timeout=20)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                return answer.json()
            away = answer is None or answer.status_code == 503
            assert away, f"{rpc}: {answer.text if answer is not None else ''}"
            assert time.monotonic() < deadline, f"{rpc}: the service stays away"
            time.sleep(0.5)

    def run_id(self, name: str) -> dict[str, str]:
        return {"org": "local", "project": "flytesnacks", "domain": "development", "name": name}

    def phase(self, run: str) -> str:
        details = self.ask("flyteidl2.workflow.RunService/GetRunDetails", runId=self.run_id(run))
        return details["details"]["action"]["status"]["phase"].removeprefix("ACTION_PHASE_")

    def actions(self, run: str) -> list[dict[str, Any]]:
        """Every action of the run, all pages."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.ask(
                "flyteidl2.workflow.RunService/ListActions",
                runId=self.run_id(run),
                request={"limit": 100, "token": token},
            )
            found += page.get("actions", [])
            token = page.get("token", "")
            if not token:
                return found

    def outputs(self, run: str) -> str:
        """The run's outputs as JSON, from the data plane, which is on the next port."""
        rpc = "flyteidl2.dataproxy.DataProxyService/GetActionData"
        asked = {"actionId": {"run": self.run_id(run), "name": "a0"}}
        answer = httpx.post(f"http://localhost:{self.port + 1}/{rpc}", json=asked, timeout=20)
        assert answer.is_success, answer.text
        return json.dumps(answer.json().get("outputs", {}))

    def signalbox(self, *words: str) -> str:
        """A command of the service, on this stack's database; what it printed."""
        environment = _environment() | {"SIGNALBOX_DATABASE_URL": self.database_url()}
        command = [sys.executable, "-m", "signalbox", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until_phase(self, run: str, *phases: str, within: float = 60) -> str:
        until(lambda: self.phase(run) in phases, within=within, what=lambda: f"{run}: {self.phase(run)}")
        return self.phase(run)

    def pids(self, program: str) -> list[int]:
        """Processes of this stack whose command line has `program`, without their guards."""
        return [
            pid for pid, command in _commands() if program in command and "guard.py" not in command and self._owns(pid)
        ]

    def log(self, name: str) -> str:
        return (self.state / "logs" / f"{name}.log").read_text()

    def database_url(self) -> str:
        """Of the embedded PostgreSQL, as the service has it."""
        pid = self.pids("signalbox serve")[0]
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return next(v.partition(b"=")[2].decode() for v in variables if v.startswith(b"SIGNALBOX_DATABASE_URL="))

    def _owns(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").resolve().is_relative_to(self.root) or str(self.root) in Path(
                f"/proc/{pid}/environ"
            ).read_text(errors="replace")
        except OSError:
            return False

    def _run(self, *command: str, within: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=_environment(), capture_output=True, text=True, timeout=within, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


def run_name(output: str) -> str:
    """The run that `flyte run` says it began."""
    found = re.search(r"/runs/([a-z0-9-]+)", output)
    assert found, output
    return found.group(1)


@contextmanager
def running(root: Path, **variables: str) -> Generator[Stack]:
    """A stack in `root`, from start to a clean end; that the end is clean is checked too."""
    (root / ".signalbox").mkdir(parents=True)
    (root / ".signalbox" / "flyte").symlink_to(FLYTE)
    port = free_port()
    said = root / "said"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "signalbox", "up", "--only", "service", "--port", str(port), "-o", "json"],
            cwd=root,
            env=_environment() | {"SIGNALBOX_POSTGRES_VERSION": VERSION} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    stack = Stack(root=root, port=port, process=process)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError(f"signalbox up ended\n{said.read_text()}")
        yield stack
        assert violations(stack.database_url()) == {}
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            code = process.wait(20)
        finally:
            if alive(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            if process.stdout is not None:
                process.stdout.close()
    assert code == 0, said.read_text()


def _environment() -> dict[str, str]:
    """This process's own, without what would lead the SDK or the service elsewhere."""
    elsewhere = ("SIGNALBOX_", "FLYTE", "UCTL_", "_U_", "_F_")
    return {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}


def _commands() -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found.append((int(entry.name), command))
    return found
