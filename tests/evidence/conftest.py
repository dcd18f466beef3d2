"""The real assembly, synthesised once a session."""

from pathlib import Path

import pytest

from support.assemblies import Draft, synthesise_app


@pytest.fixture(scope="session")
def assembly_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise_app(tmp_path_factory.mktemp("cdk.out"))


@pytest.fixture(scope="session")
def pristine(assembly_folder: Path) -> Draft:
    return Draft(assembly_folder)


@pytest.fixture
def draft(pristine: Draft) -> Draft:
    """A copy of the real assembly to weaken."""
    return pristine.copy()
