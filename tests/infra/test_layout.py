"""The folder constructs/ must never shadow the PyPI package of that name, which aws-cdk-lib imports."""

from pathlib import Path

import constructs
import pytest

from support.templates import ROOT

ADVICE = (
    "constructs/ must stay a plain folder (no __init__.py): aws-cdk-lib imports the PyPI package `constructs`, and a "
    "package of that name at the repository root would be found first. Import ours as `signalbox_constructs`."
)


def _shadows(root: Path) -> bool:
    return (root / "constructs" / "__init__.py").exists() or (root / "constructs.py").exists()


def test_the_folder_constructs_is_not_a_package() -> None:
    assert not _shadows(ROOT), ADVICE


def test_the_constructs_that_cdk_imports_are_the_installed_ones() -> None:
    assert "site-packages" in str(constructs.__file__), ADVICE


@pytest.mark.parametrize("file", ["constructs/__init__.py", "constructs.py"])
def test_the_guard_notices_a_stray_package(tmp_path: Path, file: str) -> None:
    (tmp_path / "constructs").mkdir()
    (tmp_path / file).touch()

    assert _shadows(tmp_path)
