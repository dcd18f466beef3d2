"""The image, built as a user builds it, from bases that the tests make."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from support.containers import Built, Podman, build, podman


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[Podman]:
    with podman(tmp_path_factory.mktemp("podman")) as made:
        yield made


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands in for the authorities of RDS: the build only cares for its digest."""
    path = tmp_path_factory.mktemp("rds") / "authorities.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nfor a test\n-----END CERTIFICATE-----\n")
    return path


@pytest.fixture(scope="session")
def built(engine: Podman, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(engine, tmp_path_factory.mktemp("built"), bundle)


@pytest.fixture(scope="session")
def image(engine: Podman, built: Built) -> Generator[str]:
    """The name under which podman has the image, read from the folder that would be published."""
    name = "localhost/signalbox-test/control-plane:built"
    identity = engine("pull", "--quiet", f"oci:{built.folder / 'oci'}:image").stdout.strip()
    engine("tag", identity, name)
    yield name
    engine("rmi", "--force", identity)
