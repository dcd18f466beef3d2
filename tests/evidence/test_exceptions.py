"""The exceptions register in the command: what is excused stays a failure, and stops counting until a day."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox_evidence.__main__ import main
from support.assemblies import Draft, change
from support.template_weakenings import CLUSTER

TODAY = datetime.now(UTC).date()


def entry(**changes: object) -> dict[str, object]:
    """An exception from DAT-01 that holds today."""
    return {
        "id": "EX-900",
        "control": "DAT-01",
        "reason": "A test of the register, and nothing that is deployed.",
        "owner": "platform",
        "approver": "security",
        "opened": TODAY - timedelta(days=1),
        "expires": TODAY + timedelta(days=30),
        **changes,
    }


@pytest.fixture
def unencrypted(draft: Draft, tmp_path: Path) -> Path:
    change(CLUSTER, "StorageEncrypted", value=False)(draft)
    return draft.write(tmp_path / "cdk.out")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(str(ended.value.code)), printed.out, printed.err


def written(folder: Path, *entries: dict[str, object]) -> Path:
    """A settings file: the register stands among other things."""
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"profile": "dev", "exceptions": list(entries)}))
    return file


def test_an_excused_failure_is_shown_and_does_not_fail_the_command(
    unencrypted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register = written(tmp_path, entry())
    options = ("--assembly", unencrypted, "--exceptions", register)

    assert run(capsys, "check", "--assembly", unencrypted)[0] == 7
    code, told, said = run(capsys, "collect", *options, "--mode", "template", "--output", tmp_path / "out")

    assert code == 0
    words = f"DAT-01 template: not_satisfied, excused by EX-900 of platform until {TODAY + timedelta(days=30)}"
    assert words in told
    assert "DAT-01 template: not_satisfied:" not in said
    report: dict[str, Any] = json.loads((tmp_path / "out/latest/report.json").read_text())
    assert {it["control_id"]: it["status"] for it in report["observations"]}["DAT-01"] == "not_satisfied"
    assert report["counts"]["template"]["not_satisfied"] == 1
    page = (tmp_path / "out/latest/report.html").read_text()
    assert "Excused by EX-900" in page
    assert 'id="EX-900"' in page
    assert run(capsys, "show", tmp_path / "out/latest")[0] == 0


def test_the_register_itself_can_be_given(unencrypted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the collector in the account gets it: there is no file."""
    register = json.dumps({"exceptions": [entry()]}, default=str)

    assert run(capsys, "check", "--assembly", unencrypted, "--exceptions", register)[0] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"opened": TODAY - timedelta(days=90), "expires": TODAY},
        {"opened": TODAY + timedelta(days=1)},
    ],
    ids=["ended today", "not yet opened"],
)
def test_an_exception_that_does_not_hold_excuses_nothing(
    changes: dict[str, object], unencrypted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register = written(tmp_path, entry(**changes))

    code, told, said = run(capsys, "check", "--assembly", unencrypted, "--exceptions", register)

    assert code == 7
    assert "excused" not in told
    assert "EX-900 holds from" in said


def test_an_error_is_never_excused(draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(CLUSTER, "StorageEncrypted", value={"Ref": "AskedAtDeployment"})(draft)
    folder = draft.write(tmp_path / "cdk.out")

    code, _, said = run(capsys, "check", "--assembly", folder, "--exceptions", written(tmp_path, entry()))

    assert (code, "DAT-01 template: error" in said) == (7, True)


@pytest.mark.parametrize("control", ["DAT-01", "XYZ-99"])
def test_an_exception_that_excuses_nothing_fails_the_command(
    control: str, assembly_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register = written(tmp_path, entry(control=control))

    code, _, said = run(capsys, "check", "--assembly", assembly_folder, "--exceptions", register)

    assert code == 7
    assert f"EX-900 excuses {control}, which is not weakened" in said


def test_an_exception_of_a_mode_that_was_not_run_is_not_superfluous(
    assembly_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register = written(tmp_path, entry(control="BCP-02"))  # looks at the account alone

    assert run(capsys, "check", "--assembly", assembly_folder, "--exceptions", register)[0] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"approver": "Platform"}, "wanted an approver who is not the owner"),
        ({"expires": TODAY + timedelta(days=200)}, "wanted an end 1 to 180 days after"),
        ({"reason": "no"}, "exceptions.0.reason"),
        ({"extra": "x"}, "exceptions.0.extra"),
    ],
)
def test_a_bad_register_is_bad_input(
    changes: dict[str, object],
    words: str,
    assembly_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    register = written(tmp_path, entry(**changes))

    code, _, said = run(capsys, "check", "--assembly", assembly_folder, "--exceptions", register)

    assert (code, words in said) == (2, True)


def test_a_file_without_a_register_is_bad_input(
    assembly_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.yaml").write_text("profile: dev\n")

    code, _, said = run(capsys, "check", "--assembly", assembly_folder, "--exceptions", tmp_path / "other.yaml")

    assert (code, "wanted a list of exceptions, got at exceptions" in said) == (2, True)
