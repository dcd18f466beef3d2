"""The cloud assembly of a project: what `cdk synth` makes of it, made again only when one of its inputs changed.

The inputs are what `watch.include` of cdk.json names, the field of `cdk watch`; without it every source, configuration
or lock file of the project, outside of hidden folders and node_modules. Every SIGNALBOX_ variable is one too, with the
file it names.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from signalbox_emulator.children import child
from signalbox_emulator.failures import Failed

_SUFFIXES = {".py", ".json", ".yaml", ".yml", ".toml", ".lock"}
_FINGERPRINT = "inputs.sha256"
_ALWAYS_SKIPPED = {"node_modules", "cdk.out", "__pycache__"}


def is_current(project: Path, assembly: Path, caller: Mapping[str, str]) -> bool:
    """Return whether `assembly` was made from the inputs as they are now."""
    recorded = assembly / _FINGERPRINT
    return recorded.exists() and recorded.read_text() == _fingerprint(project, caller)


def synthesise(project: Path, assembly: Path, cdk: Path, environment: Mapping[str, str], log: Path) -> None:
    """Make `assembly` from `project`; Failed with the last words of cdk when it cannot be made."""
    if not (project / "cdk.json").exists():
        raise Failed(f"{project} has no cdk.json, so there is no project to synthesise")
    before = _fingerprint(project, environment)
    shutil.rmtree(assembly, ignore_errors=True)
    command = [cdk, "synth", "--quiet", "--no-notices", "--output", assembly]
    with log.open("w") as output, child(command, env=environment, cwd=project, stdout=output, stderr=output) as process:
        code = process.wait()
    if code:
        raise Failed(f"cdk synth failed with code {code}: {last_words(log)} (all of it: {log})")
    (assembly / _FINGERPRINT).write_text(before)


def environments(assembly: Path, region: str) -> list[tuple[str, str]]:
    """Return the (account, region) pairs that the stacks of `assembly` go to; `region` where a stack names none."""
    manifest = json.loads((assembly / "manifest.json").read_text())
    stacks = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    pairs = {tuple(stack["environment"].removeprefix("aws://").split("/")) for stack in stacks}
    return sorted((account, region if place == "unknown-region" else place) for account, place in pairs)


def last_words(log: Path) -> str:
    """Return the last line of `log` that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")


def _fingerprint(project: Path, caller: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path in sorted({*_inputs(project)}):
        digest.update(f"{path.relative_to(project)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in sorted(name for name in caller if name.startswith("SIGNALBOX_")):
        digest.update(f"{name}={caller[name]}\0".encode())
        named = project / caller[name]
        if named.is_file():
            digest.update(named.read_bytes())
    return digest.hexdigest()


def _inputs(project: Path) -> Iterator[Path]:
    watched = json.loads((project / "cdk.json").read_text()).get("watch", {}).get("include", [])
    if not watched:
        yield from _sources(project)
    for pattern in [watched] if isinstance(watched, str) else watched:
        # In Python up to 3.12 a final ** means folders alone.
        for path in project.glob(f"{pattern}/*" if pattern.endswith("**") else pattern):
            if path.is_file() and not _ALWAYS_SKIPPED & set(path.parts):
                yield path


def _sources(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _ALWAYS_SKIPPED]
        yield from (Path(folder) / name for name in files if Path(name).suffix in _SUFFIXES)
