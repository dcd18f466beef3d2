"""A project and the folder of its state: who holds it, and the server that serves from it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signalbox_emulator import assembly
from signalbox_emulator.children import child
from signalbox_emulator.failures import Conflict, Unavailable

Report = Callable[[str], None]

GIVEN = "given.yaml"
"""In a state directory, what the account holds before anything is deployed."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What is deployed, and where its state is kept. All paths are absolute."""

    project: Path
    state_dir: Path
    cdk: Path
    report: Report

    @property
    def assembly(self) -> Path:
        """The cloud assembly that is deployed."""
        return self.state_dir / "cdk.out"

    @property
    def recorded(self) -> bool:
        """Whether anything was deployed that is not forgotten."""
        return (self.state_dir / "stacks.json").exists() and self.assembly.exists()

    def log(self, name: str) -> Path:
        return self.state_dir / f"{name}.log"


@contextmanager
def exclusive(state_dir: Path) -> Generator[None]:
    """Hold `state_dir` for one process at a time; Conflict names the one that has it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Conflict(
                f"{state_dir} is in use by process {lock.read().strip() or 'unknown'}: stop it first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def starting_server(deployment: Deployment) -> Generator[Callable[[], str]]:
    """Start the emulator as a child and yield a function that waits for its endpoint; it ends with the block."""
    command = [sys.executable, "-m", "signalbox_emulator", "serve", "--state-dir", deployment.state_dir, "--with-stdin"]
    with (
        deployment.log("server").open("w") as log,
        child(command, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as server,
    ):
        yield lambda: _endpoint(server, deployment)


def _endpoint(server: subprocess.Popen[str], deployment: Deployment) -> str:
    """Return the endpoint that the server prints when it answers; what it prints before that is for the user."""
    for line in server.stdout or ():
        if line.startswith("http://"):
            return line.strip()
        deployment.report(line.strip())
    raise Unavailable(f"the emulator did not start: {assembly.last_words(deployment.log('server'))}")
