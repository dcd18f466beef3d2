"""A deployment in two regions is one population: both are judged, and what is of a region stays of that region."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from signalbox_evidence.__main__ import main
from signalbox_evidence.facts.storage import LogGroup
from signalbox_evidence.live.clients import Clients
from signalbox_evidence.live.reader import Reader
from signalbox_evidence.live.world import LiveWorld, Place
from support.assemblies import Draft, change
from support.template_weakenings import CLUSTER, KEY, PLAN

FAR = "us-west-2"


def check(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--assembly", str(folder), "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    return int(str(ended.value.code)), {it["control_id"]: it for it in report["observations"]}


@pytest.fixture
def far(draft: Draft) -> Draft:
    """The real assembly with a stack of one key in another region, to which backups are copied."""
    vault = f"arn:aws:backup:{FAR}:000000000000:backup-vault:signalbox-far"
    change(PLAN, "BackupPlan.BackupPlanRule.0.CopyActions", [{"DestinationBackupVaultArn": vault}])(draft)
    draft.add_stack("signalbox-far", {"Resources": {"FarKey": deepcopy(draft.one(KEY))}}, region=FAR)
    return draft


def test_the_template_is_judged_in_every_region(far: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, seen = check(capsys, far.write(tmp_path / "sound"))

    assert code == 0
    assert "signalbox-far/FarKey" in {it["id"] for it in seen["DAT-03"]["subjects"]}

    far.properties(KEY, "FarKey")["EnableKeyRotation"] = False
    code, seen = check(capsys, far.write(tmp_path / "weak"))

    assert code == 7
    assert seen["DAT-03"]["failed"] == ["signalbox-far/FarKey"]


def test_an_export_of_another_region_is_not_imported(
    far: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation would refuse it; taken for known, a key of the wrong region would pass."""
    name = next(it["Export"]["Name"] for it in far.stacks["signalbox-keys"]["Outputs"].values() if "Export" in it)
    cluster = deepcopy(far.one(CLUSTER))
    cluster["Properties"]["KmsKeyId"] = {"Fn::ImportValue": name}
    far.stacks["signalbox-far"]["Resources"]["FarCluster"] = cluster

    _, seen = check(capsys, far.write(tmp_path))

    far_findings = [it for it in seen["DAT-02"]["findings"] if it["subject"]["id"] == "signalbox-far/FarCluster"]
    assert {it["outcome"] for it in far_findings} == {"error"}
    assert f"exports {name} in {FAR}" in far_findings[0]["reason"]


def test_a_stack_name_in_two_regions_is_bad_input(
    draft: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draft.write(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    twin = deepcopy(manifest["artifacts"]["signalbox-keys"])
    twin["environment"] = f"aws://000000000000/{FAR}"
    twin["properties"]["stackName"] = "signalbox-data"
    manifest["artifacts"]["twin"] = twin
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(SystemExit) as ended:
        main(["check", "--assembly", str(folder)])

    assert ended.value.code == 2
    assert "wanted a stack name once over all regions" in capsys.readouterr().err


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Clients]]:
    """Clients of two regions; a log group of the same name lies in both, without a key in the second."""
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stubs:
        found: dict[str, Clients] = {}
        for region, group in {
            "us-east-1": {"logGroupName": "/signalbox", "kmsKeyId": "k", "retentionInDays": 400},
            FAR: {"logGroupName": "/signalbox", "retentionInDays": 400},
        }.items():
            clients = Clients(region)
            cloudformation = stubs.enter_context(Stubber(clients.of("cloudformation")))
            stack = {"StackName": region, "StackId": region, "StackStatus": "CREATE_COMPLETE"}
            cloudformation.add_response("describe_stacks", {"Stacks": [{**stack, "CreationTime": datetime.now(UTC)}]})
            row = {
                "LogicalResourceId": "Logs",
                "PhysicalResourceId": "/signalbox",
                "ResourceType": "AWS::Logs::LogGroup",
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": datetime.now(UTC),
            }
            cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": [row]})
            logs = stubs.enter_context(Stubber(clients.of("logs")))
            arn = f"arn:aws:logs:{region}:000000000000:log-group:/signalbox:*"
            logs.add_response("describe_log_groups", {"logGroups": [{**group, "arn": arn}]})
            found[region] = clients
        yield found


def test_the_account_is_read_in_every_region_by_clients_of_that_region(regions: dict[str, Clients]) -> None:
    world = LiveWorld("000000000000", [Place(Reader(clients), [region]) for region, clients in regions.items()])

    groups = world.all(LogGroup)

    assert [group.key_id for group in groups] == ["k", None]
    assert len({group.subject.arn for group in groups}) == 2
    assert {(call.region, call.operation) for call in world.calls} == {
        (region, operation)
        for region in ("us-east-1", FAR)
        for operation in ("DescribeStacks", "ListStackResources", "DescribeLogGroups")
    }
