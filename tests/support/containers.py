"""Building and running images with podman as root, on machines without bridges, cgroups of their own or a registry.

The base images are made here: Debian by debootstrap, kept as an archive in the user's cache so that a second run is
quick, and the `uv` that set-up chose. They stand in for the official ones, whose paths differ: the Dockerfile has to
cope with both.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PYTHON_IMAGE = "localhost/signalbox-test/python:base"
UV_IMAGE = "localhost/signalbox-test/uv:base"
PLATFORM = f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }"
HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp:mode=1777")
"""As the task definition has it, beside the user that the image names."""

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signalbox" / "test-image"
_SUITE = "trixie"
_MIRROR = "http://deb.debian.org/debian"
_AUTHORITIES = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
_CONFIGURATION = """
[containers]
netns = "host"
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""
_STORAGE = f"""
[storage]
driver = "overlay"
graphroot = "{_CACHE}/storage"
runroot = "/run/signalbox-test-image"
"""
_BASES = f"""
FROM scratch AS python
ADD {_SUITE}.tar /
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PYTHON_VERSION=
FROM scratch AS uv
COPY uv /uv
"""


@dataclass(frozen=True)
class Podman:
    folder: Path
    """For what podman and the build are configured with."""

    @property
    def environment(self) -> dict[str, str]:
        """For commands that use podman."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        return plain | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
            "UV_CONFIG_FILE": str(self.folder / "uv.toml"),
        }

    def __call__(self, *words: str, check: bool = True, within: float = 120) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", *words], env=self.environment, capture_output=True, text=True, timeout=within, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"podman {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def run(self, image: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A container from start to end, as hard as on Fargate."""
        options_of_run = options.pop("options", ())
        return self("run", "--rm", *HARDENED, *options_of_run, image, *words, **options)

    @contextmanager
    def running(
        self, image: str, *words: str, variables: Mapping[str, str], options: tuple[str, ...] = ()
    ) -> Generator[str]:
        """The id of a container in the background; it is gone afterwards, with its last words on a failure."""
        given = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        identity = self("run", "--detach", *HARDENED, *given, *options, image, *words).stdout.strip()
        try:
            yield identity
        except BaseException:
            logs = self("logs", identity, check=False)
            sys.stderr.write(f"{words}\n{logs.stdout[-3000:]}{logs.stderr[-3000:]}")
            raise
        finally:
            self("rm", "--force", "--time=1", identity)


@contextmanager
def podman(folder: Path) -> Generator[Podman]:
    """Podman with a storage of its own and the base images in it; nothing is left in it."""
    missing = [
        tool for tool in ("podman", "skopeo", "runc", "debootstrap", "docker-registry") if not shutil.which(tool)
    ]
    assert not missing, f"the tests of the image need {', '.join(missing)}: Debian has packages of these names"
    assert os.geteuid() == 0, "the tests of the image need root, for debootstrap and for podman without a session"
    _CACHE.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(_CONFIGURATION)
    (folder / "storage.conf").write_text(_STORAGE)
    (folder / "uv.toml").write_text("system-certs = true\n")  # those of the base image, which are this machine's
    made = Podman(folder)
    context = folder / "bases"
    context.mkdir()
    shutil.copy(_debian(), context)
    shutil.copy(_AUTHORITIES, context / "ca-certificates.crt")
    uv = shutil.which("uv")
    assert uv is not None
    shutil.copy(uv, context / "uv")
    (context / "Containerfile").write_text(_BASES)
    for target, name in (("python", PYTHON_IMAGE), ("uv", UV_IMAGE)):
        made("build", "--layers=false", "--timestamp=0", "--target", target, "--tag", name, str(context))
    try:
        yield made
    finally:
        made("system", "prune", "--force", "--all")  # of this storage, which is the tests' own


def _debian() -> Path:
    """The archive of a minimal Debian with Python, made once."""
    archive = _CACHE / f"{_SUITE}.tar"
    if not archive.exists():
        root = _CACHE / f"root-{os.getpid()}"
        packages = "--include=python3,ca-certificates,tzdata"
        try:
            subprocess.run(
                ["debootstrap", "--variant=minbase", packages, _SUITE, str(root), _MIRROR], check=True, timeout=600
            )
            shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
            beside = archive.with_suffix(f".{os.getpid()}")
            subprocess.run(
                ["tar", "--numeric-owner", "--sort=name", "--exclude=./dev/*", "--exclude=./proc/*",
                 "--exclude=./sys/*", "-C", str(root), "-cf", str(beside), "."],
                check=True,
            )  # fmt: skip
            beside.rename(archive)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return archive


@dataclass(frozen=True)
class Built:
    """What `make image` left."""

    folder: Path
    digest: str


def image_tool(*words: str, root: Path = ROOT, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`tools/image.py` of a checkout."""
    return subprocess.run(
        [sys.executable, str(root / "tools" / "image.py"), *words, "-o", "json"],
        env=dict(environment), capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


def build(engine: Podman, folder: Path, bundle: Path, *, root: Path = ROOT) -> Built:
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    done = image_tool(
        "build", "--python-image", PYTHON_IMAGE, "--uv-image", UV_IMAGE, "--rds-bundle", str(bundle),
        "--rds-bundle-sha256", digest, "--platform", PLATFORM, "--folder", str(folder),
        root=root, environment=engine.environment | {"SOURCE_DATE_EPOCH": "1700000000"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return Built(folder, json.loads(done.stdout)["digest"])
