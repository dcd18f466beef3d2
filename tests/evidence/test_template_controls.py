"""Every control that checks the template: it holds for the real one, and fails, alone, when its one thing is weak."""

import json
from collections import Counter
from pathlib import Path
from typing import Any  # reports are free JSON

import pytest

from signalbox_evidence.__main__ import main
from signalbox_evidence.catalogue import Mode, load
from support.assemblies import Draft, change
from support.template_weakenings import CLUSTER, KEY, LOGS, TASK, WEAKENED, Weakened, allow

IN_TEMPLATE = [control.id for control in load().controls if Mode.TEMPLATE in control.modes]
SOUND = dict.fromkeys(IN_TEMPLATE, "satisfied") | {"BCP-05": "not_applicable"}  # the local settings name one region


def check(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, dict[str, str], str]:
    """Exit code, control id -> status, and stderr of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["check", "--assembly", str(folder), "-o", "json", *arguments])
    printed = capsys.readouterr()
    report: dict[str, Any] = json.loads(printed.out)
    return int(str(ended.value.code)), {it["control_id"]: it["status"] for it in report["observations"]}, printed.err


def test_the_real_template_satisfies_every_control(assembly_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, statuses, _ = check(capsys, assembly_folder)

    assert statuses == SOUND
    assert code == 0


@pytest.mark.parametrize("weakened", WEAKENED, ids=lambda it: f"{it.control} {it.title}")
def test_a_weakened_template_fails_exactly_its_control(
    weakened: Weakened, draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weakened.apply(draft)

    code, statuses, said = check(capsys, draft.write(tmp_path))

    changed = {control_id: status for control_id, status in statuses.items() if status != SOUND[control_id]}
    assert changed == dict.fromkeys({weakened.control, *weakened.also}, "not_satisfied")
    assert code == 7
    assert f"{weakened.control} template: not_satisfied" in said


def test_every_control_of_the_template_has_two_weakenings_at_least() -> None:
    tally = Counter(weakened.control for weakened in WEAKENED)

    assert {control_id: tally[control_id] for control_id in IN_TEMPLATE if tally[control_id] < 2} == {}
    assert tally.keys() - set(IN_TEMPLATE) == set()


def test_a_failure_names_its_subject_on_stderr(
    draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(CLUSTER, "StorageEncrypted", value=False)(draft)

    _, _, said = check(capsys, draft.write(tmp_path))

    cluster = draft.id_of(CLUSTER)
    assert f"signalbox-data/{cluster}: {CLUSTER}.StorageEncrypted: wanted true, got False" in said


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("StorageEncrypted", {"Ref": "AskedAtDeployment"}),
        ("StorageEncrypted", {"Fn::ImportValue": "of-another-app"}),
        ("StorageEncrypted", {"Fn::If": ["Unheard", True, True]}),
        ("StorageEncrypted", "{{resolve:ssm:/signalbox/encrypted}}"),
        ("StorageEncrypted", {"Fn::Transform": {"Name": "Macro"}}),
    ],
)
def test_a_value_that_only_deployment_knows_is_an_error_and_never_a_pass(
    path: str, value: object, draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.stacks["signalbox-data"]["Parameters"]["AskedAtDeployment"] = {"Type": "String"}
    change(CLUSTER, path, value)(draft)

    code, statuses, said = check(capsys, draft.write(tmp_path))

    assert statuses["DAT-01"] == "error"
    assert code == 7
    assert "DAT-01 template: error" in said


@pytest.mark.parametrize(("prod", "status"), [("yes", "satisfied"), ("no", "not_satisfied")])
def test_conditions_and_parameters_are_worked_out(
    prod: str, status: str, draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = draft.stacks["signalbox-data"]
    template["Parameters"]["Prod"] = {"Type": "String", "Default": prod}
    template["Conditions"] = {
        "IsProd": {"Fn::Equals": [{"Ref": "Prod"}, "yes"]},
        "Kept": {"Fn::Not": [{"Fn::Not": [{"Condition": "IsProd"}]}]},
    }
    change(CLUSTER, "StorageEncrypted", {"Fn::If": ["Kept", True, {"Ref": "AWS::NoValue"}]})(draft)

    _, statuses, _ = check(capsys, draft.write(tmp_path))

    assert statuses["DAT-01"] == status


def test_values_are_followed_through_exports_joins_and_parameters_in_ssm(
    draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key's ARN comes by an SSM parameter that another stack writes, and the role's resource by Fn::Sub."""
    key = draft.id_of(KEY, "Data")
    draft.add(
        KEY,
        "Told",
        {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/signalbox/key", "Type": "String", "Value": {"Fn::GetAtt": [key, "Arn"]}},
        },
    )
    parameter = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/signalbox/key"}
    draft.stacks["signalbox-data"]["Parameters"]["KeyArn"] = parameter
    change(CLUSTER, "KmsKeyId", {"Ref": "KeyArn"})(draft)
    logs = draft.id_of(LOGS, "FlowLogs")
    allow({"Action": "logs:PutLogEvents", "Resource": {"Fn::Sub": f"${{{logs}.Arn}}:log-stream:*"}})(draft)

    code, statuses, _ = check(capsys, draft.write(tmp_path))

    assert statuses == SOUND
    assert code == 0


def test_an_empty_template_is_never_a_pass(draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for template in draft.stacks.values():
        template["Resources"] = {}
        template["Outputs"] = {}

    code, statuses, _ = check(capsys, draft.write(tmp_path))

    assert set(statuses.values()) == {"error", "not_applicable"}
    assert {control_id for control_id, status in statuses.items() if status == "not_applicable"} == {
        "BCP-05",
        "DAT-10",
        "TLS-02",
        "WRK-04",
    }
    assert code == 7


def test_a_parameter_moves_a_control_within_its_range_only(
    draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(CLUSTER, "BackupRetentionPeriod", 14)(draft)
    folder = draft.write(tmp_path)

    assert check(capsys, folder)[1]["BCP-01"] == "not_satisfied"
    assert check(capsys, folder, "--set", "BCP-01.retention_days=14")[1]["BCP-01"] == "satisfied"
    for text in ("BCP-01.retention_days=1", "BCP-01.retention_days=x", "BCP-01.days=9", "XXX-01.days=9", "nonsense"):
        with pytest.raises(SystemExit) as ended:
            main(["check", "--assembly", str(folder), "--set", text])
        assert ended.value.code == 2, text
    capsys.readouterr()


def test_a_random_secret_is_found_and_an_ordinary_setting_is_not(
    draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = draft.properties(TASK)["ContainerDefinitions"][0]["Environment"]
    environment.append({"Name": "ISSUER", "Value": "https://accounts.example.com/realms/signalbox-production/oidc"})
    environment.append({"Name": "TOKEN_TTL", "Value": "3600"})
    pool = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_q8Zt3vXw0LpR7yKc5nBf2HdJs9GmUe4A"
    environment.append({"Name": "OIDC_ISSUER", "Value": pool})
    assert check(capsys, draft.write(tmp_path / "ordinary"))[1]["WRK-03"] == "satisfied"

    environment.append({"Name": "SEED", "Value": "q8Zt3vXw0LpR7yKc5nBf2HdJs9GmUe4A"})
    assert check(capsys, draft.write(tmp_path / "secret"))[1]["WRK-03"] == "not_satisfied"
