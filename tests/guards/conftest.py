"""The real assembly, synthesised once a session; and the command, run in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalbox_guards.__main__ import main
from support.assemblies import Draft, synthesise_app


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `signalbox-guards` with arguments; what it printed and its exit code."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(str(ended.value.code)), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as it is, as a matrix of one configuration."""
    folder = tmp_path_factory.mktemp("matrix")
    synthesise_app(folder / "dev")
    return folder


@pytest.fixture(scope="session")
def pristine(matrix: Path) -> Draft:
    return Draft(matrix / "dev")


@pytest.fixture
def draft(pristine: Draft) -> Draft:
    """A copy of the real assembly to change."""
    return pristine.copy()
