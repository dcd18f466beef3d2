"""Builds the image of the control plane, and publishes it: `make image`, `make publish`.

`build` leaves the image as an OCI layout with its bill of materials in a folder; nothing leaves the machine. `publish`
pushes the bytes of that folder, reads the manifest back from the registry, and prints REPOSITORY@DIGEST only if it is
the same. Exit codes: 0 done, 2 bad input, 5 the registry has something else, 6 a tool or the registry is missing,
7 the build failed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

import sbom
from oci_layout import Layout, write_artifact
from signalbox_wire.loopback import is_loopback

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".signalbox" / "image"
BILL = "sbom.cdx.json"
INVALID, CONFLICT, UNAVAILABLE, FAILED = 2, 5, 6, 7

Output = Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])]
app = App(name="image", help="Build and publish the image of the control plane.")


class Failure(Exception):
    """A sentence for the user, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@app.command
def build(
    *,
    python_image: str,
    uv_image: str,
    rds_bundle: Path,
    rds_bundle_sha256: str,
    platform: str = "linux/arm64",
    folder: Path = FOLDER,
    output: Output = "text",
) -> None:
    """Build the image of one platform with docker or podman, whichever is there, never from a cache.

    Parameters
    ----------
    python_image, uv_image
        What it stands on: NAME@sha256:...; another name is taken for an image that only this machine has.
    rds_bundle, rds_bundle_sha256
        A local copy of the authorities of RDS, and the digest that it must have.
    platform
        linux/arm64 (what the task definitions name) or linux/amd64.
    folder
        Gets `oci/` and the bill of materials; what was there of an earlier build is replaced.
    output
        `json` for machines.

    """
    if not rds_bundle.is_file():
        raise Failure(INVALID, f"--rds-bundle: {rds_bundle}: no such file; download it first (docs/infrastructure.md)")
    if not re.fullmatch(r"[0-9a-f]{64}", rds_bundle_sha256):
        raise Failure(INVALID, f"--rds-bundle-sha256: wanted 64 lower-case digits, got {rds_bundle_sha256!r}")
    for name, image in (("--python-image", python_image), ("--uv-image", uv_image)):
        if not image.startswith("localhost/") and not re.search(r"@sha256:[0-9a-f]{64}$", image):
            raise Failure(INVALID, f"{name}: wanted NAME@sha256:..., as tags move; got {image!r}")
    engine = _engine()
    at = _epoch()
    layout = folder / "oci"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copy(rds_bundle, Path(temporary) / "global-bundle.pem")
        arguments = [
            "--file", str(ROOT / "service" / "Dockerfile"), "--platform", platform, "--no-cache",
            "--build-arg", f"PYTHON_IMAGE={python_image}", "--build-arg", f"UV_IMAGE={uv_image}",
            "--build-arg", f"RDS_BUNDLE_SHA256={rds_bundle_sha256}", "--build-context", f"rds={temporary}",
        ]  # fmt: skip
        if configuration := os.environ.get("UV_CONFIG_FILE"):
            arguments += ["--secret", f"id=uv.toml,src={configuration}"]
        (_docker if engine == "docker" else _podman)(arguments, layout, at)
    made = _built(folder)
    if made.platform != platform:
        raise Failure(FAILED, f"asked for {platform}, and {python_image} gave an image of {made.platform}")
    (folder / BILL).write_text(sbom.describe(made, at=datetime.fromtimestamp(at, UTC)))
    facts = {"digest": made.digest, "platform": platform, "folder": str(folder), "engine": engine, "epoch": at}
    _answer(output, facts, f"{made.digest} {platform} in {folder}; not published yet")


@app.command
def publish(repository: str, *, folder: Path = FOLDER, output: Output = "text") -> None:
    """Push what `build` made to REPOSITORY with its bill of materials, and check that the registry has just that.

    The image gets a tag that is made of its digest, so that registries do not count it as left over; the bill of
    materials refers to the image as its subject, and has the same tag with `.cdx`.

    Parameters
    ----------
    repository
        REGISTRY/NAME, without tag or digest. Log in first (`docker login`, `podman login` or `skopeo login`).
    folder
        Of the build.
    output
        `json` for machines.

    """
    if not re.fullmatch(r"[\w-]+([.:][\w-]+)+(/[a-z0-9._-]+)+", repository):
        raise Failure(INVALID, f"wanted REGISTRY/NAME without tag or digest, got {repository!r}")
    if shutil.which("skopeo") is None:
        raise Failure(UNAVAILABLE, "skopeo is missing, which pushes images and reads them back: install it")
    image = _built(folder)
    tag = f"image-{image.digest.removeprefix('sha256:')[:16]}"
    _push(image, repository, tag)
    with tempfile.TemporaryDirectory() as temporary:
        content = (folder / BILL).read_bytes()
        bill = write_artifact(Path(temporary), content, media_type=sbom.MEDIA_TYPE, subject=image)
        _push(bill, repository, f"{tag}.cdx")
    reference = f"{repository}@{image.digest}"
    facts = {"repository": repository, "digest": image.digest, "reference": reference, "tag": tag, "sbom": bill.digest}
    _answer(output, facts, reference)


def _engine() -> str:
    """A docker whose server answers, else podman."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return "docker"
    if shutil.which("podman"):
        return "podman"
    raise Failure(UNAVAILABLE, "neither a running docker nor podman is here, and one of them builds the image")


def _epoch() -> int:
    """The time that everything in the image bears: SOURCE_DATE_EPOCH, else that of the commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(INVALID, "SOURCE_DATE_EPOCH: not set, and this is no git checkout that would tell a time")
    return int(done.stdout)


def _docker(arguments: Sequence[str], layout: Path, at: int) -> None:
    archive = layout.with_suffix(".tar")
    destination = f"type=oci,dest={archive},oci-mediatypes=true,rewrite-timestamp=true"
    own = ["--provenance=false", "--sbom=false", "--build-arg", f"SOURCE_DATE_EPOCH={at}", "--output", destination]
    _run(["docker", "buildx", "build", *arguments, *own, str(ROOT)])
    with tarfile.open(archive) as opened:
        opened.extractall(layout, filter="data")
    archive.unlink()


def _podman(arguments: Sequence[str], layout: Path, at: int) -> None:
    name = layout.with_name("id")
    own = ["--format", "oci", "--timestamp", str(at), "--identity-label=false", "--iidfile", str(name)]
    _run(["podman", "build", *arguments, *own, str(ROOT)])
    identity = name.read_text().strip()
    name.unlink()
    try:
        _run(["podman", "push", "--quiet", identity, f"oci:{layout}:{Layout.NAME}"])
    finally:
        _run(["podman", "rmi", identity])


def _run(command: Sequence[str]) -> None:
    """What it says goes to standard error. Raises Failure."""
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    if code != 0:
        raise Failure(FAILED, f"{' '.join(command[:3])} ended with {code}; what it said is above")


def _built(folder: Path) -> Layout:
    try:
        return Layout.read(folder / "oci")
    except FileNotFoundError:
        raise Failure(INVALID, f"{folder}: no image there; `make image` builds one") from None
    except ValueError as e:
        raise Failure(FAILED, str(e)) from e


def _push(image: Layout, repository: str, tag: str) -> None:
    """Push unless it is there, and read it back. Raises Failure."""
    there = f"docker://{repository}:{tag}"
    here = is_loopback(repository.partition("/")[0].partition(":")[0])  # a registry for tests, without TLS
    verify = f"--tls-verify={str(not here).lower()}"
    if _remote_digest(there, verify) is None:
        source = f"oci:{image.folder}:{_name(image)}"
        target = f"--dest-{verify.removeprefix('--')}"
        done = subprocess.run(
            ["skopeo", "copy", "--quiet", "--preserve-digests", target, source, there],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failure(UNAVAILABLE, f"{repository}: not pushed: {done.stderr.strip()}")
    got = _remote_digest(there, verify)
    if got != image.digest:
        raise Failure(CONFLICT, f"{repository}:{tag}: wanted {image.digest}, the registry has {got or 'nothing'}")


def _remote_digest(there: str, verify: str) -> str | None:
    """Of the manifest that the registry gives; None when it gives none."""
    done = subprocess.run(["skopeo", "inspect", "--raw", verify, there], capture_output=True, check=False)
    return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}" if done.returncode == 0 else None


def _name(image: Layout) -> str:
    (entry,) = json.loads((image.folder / "index.json").read_text())["manifests"]
    return entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "")


def _answer(output: Output, facts: dict[str, Any], text: str) -> None:
    sys.stdout.write((json.dumps(facts) if output == "json" else text) + "\n")


if __name__ == "__main__":
    try:
        app()
    except Failure as failure:
        sys.stderr.write(f"image: {failure}\n")
        sys.exit(failure.code)
