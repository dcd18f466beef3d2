"""The real assembly, synthesised once a session; and the real stacks, deployed into the emulator once a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.assemblies import Draft, synthesise_app
from support.emulated_account import Account, Emulated, emulated


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


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulated(tmp_path_factory.mktemp("emulator")) as account:
        yield account


@pytest.fixture
def account(deployed: Emulated, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The deployed account; the environment is that of a command beside it."""
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    return deployed.account
