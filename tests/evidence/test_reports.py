"""The command's reports: whole or not there, readable by people and by machines, and honest about their source."""

import gzip
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from signalbox_emulator.capabilities import CAPABILITIES
from signalbox_evidence import report
from signalbox_evidence.__main__ import main
from signalbox_evidence.canonical import canonical
from signalbox_evidence.capabilities import Capabilities
from signalbox_evidence.catalogue import Mode, load
from signalbox_evidence.facts.world import Subject, Unknown
from signalbox_evidence.finding import Attribute, Outcome, expect, is_true
from signalbox_evidence.page import render
from support.assemblies import Draft, change
from support.emulated_account import Account
from support.template_weakenings import CLUSTER

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(str(ended.value.code)), printed.out, printed.err

    return call


def _collect(run: Run, assembly: Path, output: Path, *more: object) -> tuple[int, dict[str, Any], str]:
    code, _, said = run("collect", "--assembly", assembly, "--output", output, *more)
    return code, json.loads((output / "latest" / "report.json").read_text()), said


def test_a_template_run_writes_both_forms_and_says_it_asked_no_account(
    run: Run, assembly_folder: Path, tmp_path: Path
) -> None:
    code, found, said = _collect(run, assembly_folder, tmp_path / "reports", "--mode", "template")

    assert code == 0
    assert found["modes"] == ["template"]
    assert found["account"] is None
    assert found["counts"]["template"]["satisfied"] == len(found["observations"]) - 1  # one region: BCP-05
    assert {it["tier"] for it in found["observations"]} == {"E1"}
    digest = hashlib.sha256((assembly_folder / "signalbox-data.template.json").read_bytes()).hexdigest()
    assert digest in {it["sha256"] for it in found["templates"]}
    assert "template only, no account was asked" in (tmp_path / "reports/latest/report.html").read_text()
    assert re.search(r"report: .*/\d{8}T\d{6}Z/report\.html", said)


def test_observations_have_stable_ids_and_population_digests(run: Run, assembly_folder: Path, tmp_path: Path) -> None:
    _, first, _ = _collect(run, assembly_folder, tmp_path, "--mode", "template")
    _, second, _ = _collect(run, assembly_folder, tmp_path, "--mode", "template")

    def populations(found: dict[str, Any]) -> dict[str, str]:
        return {it["control_id"]: it["population_sha256"] for it in found["observations"]}

    assert populations(first) == populations(second)
    assert first["run_id"] != second["run_id"]
    ids = [it["obs_id"] for it in first["observations"] + second["observations"]]
    assert len(set(ids)) == len(ids)
    one = first["observations"][0]
    assert hashlib.sha256(canonical(one["subjects"])).hexdigest() == one["population_sha256"]


def test_each_run_has_its_folder_and_latest_is_the_last(run: Run, assembly_folder: Path, tmp_path: Path) -> None:
    for _ in range(3):
        _collect(run, assembly_folder, tmp_path, "--mode", "template")

    folders = sorted(path for path in tmp_path.iterdir() if path.name != "latest")
    assert len(folders) == 3
    newest = max(folders, key=lambda path: json.loads((path / "report.json").read_text())["started_at"])
    assert (tmp_path / "latest").resolve() == newest
    assert not [path for path in folders if path.name.startswith(".")]


def test_a_write_that_breaks_leaves_nothing_behind(
    run: Run, assembly_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _collect(run, assembly_folder, tmp_path, "--mode", "template")
    before = sorted(path.name for path in tmp_path.iterdir())
    synced: list[int] = []

    def full_disk(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:  # after report.json, before report.html
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    code, _, said = run("collect", "--assembly", assembly_folder, "--output", tmp_path, "--mode", "template")

    assert code == 2
    assert "No space left on device" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("manifest.json", None, "manifest.json: wanted a file"),
        ("manifest.json", "{", "manifest.json: wanted JSON"),
        ("manifest.json", "[]", "manifest.json: wanted a JSON object, got list"),
        ("manifest.json", '{"artifacts": {}}', "manifest.json: wanted at least one stack, got none"),
        ("signalbox-data.template.json", None, "signalbox-data.template.json: wanted a file"),
    ],
)
def test_a_broken_assembly_is_bad_input(
    *, file: str, content: str | None, words: str, run: Run, draft: Draft, tmp_path: Path
) -> None:
    folder = draft.write(tmp_path / "cdk.out")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)

    code, _, said = run("check", "--assembly", folder)

    assert code == 2
    assert words in said


@pytest.mark.parametrize("hidden", [{"Transform": "AWS::Serverless-2016-10-31"}, None])
def test_what_would_hide_resources_is_refused(
    hidden: dict[str, Any] | None, run: Run, draft: Draft, tmp_path: Path
) -> None:
    if hidden:
        draft.stacks["signalbox-data"].update(hidden)
    else:
        draft.add(CLUSTER, "Inner", {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "x"}})

    code, _, said = run("check", "--assembly", draft.write(tmp_path))

    assert code == 2
    assert "signalbox-data.template.json" in said


def test_no_answer_from_aws_exits_6_and_writes_nothing(
    run: Run, assembly_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)

    code, _, said = run("collect", "--assembly", assembly_folder, "--output", tmp_path / "reports")

    assert code == 6
    assert "AWS does not answer" in said
    assert not (tmp_path / "reports").exists()


def test_no_credentials_exit_4(
    run: Run, assembly_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    assert run("collect", "--assembly", assembly_folder, "--output", tmp_path)[0] == 4


def test_a_capability_list_excuses_nothing_in_template_mode(run: Run, assembly_folder: Path, tmp_path: Path) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text("[]")

    code, _, said = run(
        "collect", "--assembly", assembly_folder, "--output", tmp_path, "--mode", "template", "--capabilities", limits
    )

    assert (code, "live mode only" in said) == (2, True)


@pytest.mark.parametrize("content", ["{", "{}", '[{"service": "rds"}]'])
def test_a_wrong_capability_list_is_bad_input(content: str, run: Run, assembly_folder: Path, tmp_path: Path) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text(content)

    code, _, said = run("collect", "--assembly", assembly_folder, "--output", tmp_path, "--capabilities", limits)

    assert code == 2
    assert f"{limits}: wanted a JSON list" in said


@pytest.mark.parametrize(
    ("limit", "covered"),
    [
        ({"property": "AWS::ECS::Service.DeploymentConfiguration"}, True),
        ({"property": "AWS::ECS::Service.DeploymentConfig"}, False),
        ({"service": "ecs", "attribute": "Service.deploymentconfiguration.rollback"}, True),
        ({"service": "ecs", "attribute": "Task.DeploymentConfiguration.Rollback"}, False),
        ({"service": "rds", "attribute": "Service.DeploymentConfiguration.Rollback"}, False),
        ({"property": "AWS::ECS::Service.DeploymentConfiguration", "kind": "unenforced"}, False),
    ],
)
@pytest.mark.parametrize("value", [True, False])
def test_what_an_emulator_cannot_hold_is_neither_passed_nor_failed(
    limit: dict[str, str], *, covered: bool, value: bool, tmp_path: Path
) -> None:
    file = tmp_path / "limits.json"
    file.write_text(json.dumps([{"service": "x", "attribute": "y", "reason": "lost", **limit}]))
    subject = Subject(type="AWS::ECS::Service", id="serve")
    attribute = Attribute("AWS::ECS::Service", "DeploymentConfiguration.Rollback")

    finding = Capabilities.read(file).qualify(expect(subject, attribute, value, "true", is_true))

    said = Outcome.HOLDS if value else Outcome.FAILS
    assert finding.outcome is (Outcome.NOT_VERIFIABLE if covered else said)
    assert finding.reason == ("not verifiable on this emulator: lost" if covered else "")


@pytest.mark.parametrize("value", [True, False])
def test_what_was_added_to_an_emulator_is_judged_and_says_so(*, value: bool, tmp_path: Path) -> None:
    file = tmp_path / "limits.json"
    entry = {"service": "ecs", "attribute": "Service.Rollback", "reason": "ours keeps it", "kind": "patched"}
    file.write_text(json.dumps([entry]))
    subject, attribute = Subject(type="AWS::ECS::Service", id="serve"), Attribute("AWS::ECS::Service", "Rollback")

    finding = Capabilities.read(file).qualify(expect(subject, attribute, value, "true", is_true))

    assert finding.outcome is (Outcome.HOLDS if value else Outcome.FAILS)
    assert finding.reason == f"got {value}; answered by an addition to the emulator: ours keeps it"


def test_a_value_that_is_missing_fails_and_one_that_is_unknown_is_an_error() -> None:
    subject, attribute = Subject(type="T", id="s"), Attribute("T", "P")

    assert expect(subject, attribute, None, "true", is_true).outcome is Outcome.FAILS
    assert expect(subject, attribute, Unknown("later"), "true", is_true).outcome is Outcome.ERROR


@pytest.mark.slow
def test_a_live_run_keeps_every_raw_answer_by_its_digest(run: Run, account: Account, tmp_path: Path) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text(json.dumps([asdict(limit) for limit in CAPABILITIES]))

    code, found, _ = _collect(run, account.emulated.assembly, tmp_path / "out", "--capabilities", limits)

    assert code == 0
    counts = found["counts"]["live"]
    assert (counts["not_satisfied"], counts["error"]) == (0, 0)
    assert counts["not_assessed"] > 0
    raw = tmp_path / "out/latest/raw"
    stored = {path.name.removesuffix(".json.gz"): gzip.decompress(path.read_bytes()) for path in raw.iterdir()}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in stored.items()} == {n: n for n in stored}
    calls = [call for it in found["observations"] for call in it["calls"]]
    assert {call["raw"] for call in calls if call["raw"]} == stored.keys()
    assert all(call["request_id"] and call["http_status"] == 200 for call in calls if not call["error"])
    live = [it for it in found["observations"] if it["mode"] == "live"]
    assert all(it["calls"] and it["actor"] and it["account"] == "000000000000" for it in live)
    assert {it["tier"] for it in live} == {"E3"}
    assert "not that anything is enforced" in found["emulator"]["notice"]


@pytest.mark.slow
def test_an_assembly_of_another_account_is_refused(run: Run, account: Account, draft: Draft, tmp_path: Path) -> None:
    folder = draft.write(tmp_path / "cdk.out")
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace("aws://000000000000/", "aws://111111111111/"))

    code, _, said = run("collect", "--assembly", folder, "--output", tmp_path / "out")

    assert code == 2
    assert "made for account 111111111111, the credentials are of 000000000000" in said


@pytest.mark.slow
def test_a_change_by_hand_makes_the_live_control_fail_and_the_command_exit_7(
    run: Run, account: Account, tmp_path: Path
) -> None:
    ec2, group = account.api("ec2"), account.ids("AWS::EC2::SecurityGroup", "Database")[0]
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    try:
        code, found, said = _collect(run, account.emulated.assembly, tmp_path / "out")
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])

    verdicts = {it["mode"]: it["status"] for it in found["observations"] if it["control_id"] == "NET-01"}
    assert verdicts == {"template": "satisfied", "live": "not_satisfied"}
    assert code == 7
    assert "NET-01 live: not_satisfied" in said
    assert f"{group}: AWS::EC2::SecurityGroup.SecurityGroupIngress: wanted nobody but our tasks" in said


def test_show_retells_a_saved_report_with_its_exit_code(run: Run, draft: Draft, tmp_path: Path) -> None:
    change(CLUSTER, "StorageEncrypted", value=False)(draft)
    _collect(run, draft.write(tmp_path / "cdk.out"), tmp_path / "out", "--mode", "template")

    code, told, said = run("show", tmp_path / "out" / "latest")

    assert code == 7
    judged = sum(Mode.TEMPLATE in control.modes for control in load().controls) - 1  # one region: no BCP-05
    assert f"designed as required in {judged - 1} of {judged} controls" in told
    assert "DAT-01 template: not_satisfied" in said
    again = json.loads(run("show", tmp_path / "out/latest/report.json", "-o", "json")[1])
    assert again == json.loads((tmp_path / "out/latest/report.json").read_text())


@pytest.mark.parametrize("content", [None, "{}", "[", '{"schema_version": "other"}'])
def test_an_unreadable_report_is_bad_input(content: str | None, run: Run, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)

    code, _, said = run("show", tmp_path)

    assert code == 2
    assert "report.json: wanted a report" in said


def test_controls_lists_the_catalogue(run: Run) -> None:
    code, listed, _ = run("controls", "-o", "json")

    assert code == 0
    assert [it["id"] for it in json.loads(listed)["controls"]] == [control.id for control in load().controls]
    assert f"{len(load().controls)} controls" in run("controls")[1]


class _Page(HTMLParser):
    """Ids, tags, links and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_holds_every_control_and_nothing_from_elsewhere(
    run: Run, assembly_folder: Path, tmp_path: Path
) -> None:
    _collect(run, assembly_folder, tmp_path, "--mode", "template")

    text = (tmp_path / "latest/report.html").read_text()
    page = _Page(text)

    ids = {control.id for control in load().controls}
    assert ids <= page.ids
    assert {link.removeprefix("#") for link in page.links} == ids  # links within the page, nothing else
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "@media print" in text
    words = " ".join(page.words)
    # Object Lock's word for one of its two modes is no claim
    assert "complian" not in words.replace("COMPLIANCE", "").lower().replace("compliance mode", "")
    for control in load().controls:
        assert control.statement in words
        assert control.severity in words
    assert load().control("BCP-10").not_checked[Mode.LIVE] in words


def test_the_page_escapes_what_a_template_says(run: Run, draft: Draft, tmp_path: Path) -> None:
    change(CLUSTER, "PreferredBackupWindow", "<script>alert(1)</script>")(draft)
    _collect(run, draft.write(tmp_path / "cdk.out"), tmp_path / "out", "--mode", "template")

    text = (tmp_path / "out/latest/report.html").read_text()

    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_findings_of_the_validation_plugins_are_shown_with_their_reasons(
    assembly_folder: Path, run: Run, tmp_path: Path
) -> None:
    _, found, _ = _collect(run, assembly_folder, tmp_path, "--mode", "template")

    assert "AwsSolutions" in found["validation"]["plugins"]
    assert found["validation"]["violations"] == []
    acknowledged = found["validation"]["acknowledged"]
    assert acknowledged
    assert all(it["acknowledged_reason"] for it in acknowledged)
    text = render(report.read(tmp_path / "latest"))
    assert all(escape(it["rule"]) in text for it in acknowledged)
