import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.assemblies import Draft, Weakening, attribute, change
from support.hand_made import Json, resource, stack, write_assembly

REASON = "nothing was ever written to it"


@pytest.fixture
def locked(pristine: Draft, tmp_path: Path, command: Any) -> Path:
    """A matrix of the app as it is, MATRIX/dev, and its locks beside it."""
    pristine.write(tmp_path / "matrix" / "dev")
    assert command("lock", "write", tmp_path / "matrix", "--locks", tmp_path / "locks").code == 0
    return tmp_path


def check(locked: Path, command: Any, draft: Draft) -> Any:
    draft.write(locked / "matrix" / "dev")
    return command("lock", "check", locked / "matrix", "--locks", locked / "locks")


def write(locked: Path, command: Any, *arguments: str) -> Any:
    return command("lock", "write", locked / "matrix", "--locks", locked / "locks", *arguments)


def content(locked: Path) -> dict[str, str]:
    return {str(path.relative_to(locked)): path.read_text() for path in sorted((locked / "locks").rglob("*.*"))}


def test_what_was_locked_passes(locked: Path, command: Any, draft: Draft) -> None:
    outcome = check(locked, command, draft)

    assert (outcome.code, outcome.err) == (0, "")


def test_a_lock_names_every_stateful_resource_with_its_policies(locked: Path, draft: Draft) -> None:
    data = draft.all("AWS::RDS::DBCluster")[0][0]
    cluster, key = draft.id_of("AWS::RDS::DBCluster"), draft.id_of("AWS::KMS::Key")
    lock: Json = json.loads((locked / "locks" / "dev" / f"{data}.json").read_text())

    assert lock["termination_protection"] is True
    assert lock["resources"][cluster]["type"] == "AWS::RDS::DBCluster"
    assert set(lock["resources"][cluster]["create_only"]) >= {"DatabaseName", "KmsKeyId", "StorageEncrypted"}
    assert lock["resources"][cluster]["deletion_policy"] == "Snapshot"
    text = (locked / "locks" / "dev").glob("*.json")
    everything = "".join(path.read_text() for path in text)
    assert key in everything
    assert all(name in everything for _, name, _ in draft.all("AWS::EC2::Subnet"))
    assert "AWS::ECS::Service" not in everything


BREAKING: list[tuple[Weakening, str]] = [
    (change("AWS::RDS::DBCluster", "DatabaseName", "other"), "DatabaseName: wanted digest"),
    (change("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", "other"), "DBSubnetGroupName: wanted digest"),
    (attribute("AWS::KMS::Key", "DeletionPolicy", "Delete"), "DeletionPolicy: was Retain, becomes Delete"),
    (lambda draft: draft.protect(draft.all("AWS::EC2::VPC")[0][0], protected=False), "TerminationProtection"),
    (lambda draft: draft.one("AWS::EC2::VPC").update(Type="AWS::S3::Bucket"), "type: was AWS::EC2::VPC"),
]


@pytest.mark.parametrize(("weaken", "told"), BREAKING, ids=[told.split(":")[0] for _, told in BREAKING])
def test_a_changed_entry_fails_and_tells_how_to_accept_it(
    locked: Path, command: Any, draft: Draft, weaken: Weakening, told: str
) -> None:
    weaken(draft)

    outcome = check(locked, command, draft)

    assert outcome.code == 7
    assert told in outcome.out
    assert "lock write --accept STACK/LOGICALID --reason TEXT" in outcome.err


def test_a_cluster_is_locked_together_with_what_it_is_created_from(locked: Path, command: Any, draft: Draft) -> None:
    change("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", "other")(draft)

    outcome = check(locked, command, draft)

    assert f"{draft.id_of('AWS::RDS::DBCluster')} (AWS::RDS::DBCluster): replaced" in outcome.out


def test_a_removed_entry_is_refused_until_it_is_accepted_with_a_reason(
    locked: Path, command: Any, draft: Draft
) -> None:
    edge, bucket = next((name, logical_id) for name, logical_id, _ in draft.all("AWS::S3::Bucket"))
    address = f"{edge}/{bucket}"
    del draft.stacks[edge]["Resources"][bucket]
    before = content(locked)

    assert check(locked, command, draft).code == 7
    refused = write(locked, command)
    assert refused.code == 7
    assert address in refused.err
    assert write(locked, command, "--accept", address).code == 2
    assert write(locked, command, "--accept", address, "--reason", "short").code == 2
    assert write(locked, command, "--accept", "no/such", "--reason", REASON).code == 2
    assert content(locked) == before

    assert write(locked, command, "--accept", address, "--reason", REASON).code == 0
    assert check(locked, command, draft).code == 0
    [entry] = yaml.safe_load((locked / "locks" / "accepted.yaml").read_text())["accepted"]
    assert (entry["stack"], entry["logical_id"], entry["becomes"]) == (edge, bucket, "absent")
    assert entry["reason"] == REASON
    assert len(str(entry["accepted_on"])) == 10


def test_an_accepted_change_also_passes_the_replacement_guard(
    locked: Path, command: Any, pristine: Draft, draft: Draft
) -> None:
    change("AWS::Logs::LogGroup", "LogGroupName", "/other")(draft)
    name, group, _ = draft.all("AWS::Logs::LogGroup")[0]
    old, new = pristine.write(locked / "old"), locked / "matrix" / "dev"
    assert check(locked, command, draft).code == 7
    assert write(locked, command, "--accept", f"{name}/{group}", "--reason", REASON).code == 0

    arguments = ("replacements", old, new, "--accepted", locked / "locks" / "accepted.yaml")
    outcome = command(*arguments)
    assert outcome.code == 0
    assert f"accepted: {REASON}" in outcome.out

    change("AWS::Logs::LogGroup", "LogGroupName", "/another")(draft)
    draft.write(new)
    assert command(*arguments).code == 7


def test_a_new_stateful_resource_has_to_be_locked_too(locked: Path, command: Any, draft: Draft) -> None:
    draft.add("AWS::KMS::Key", "Another", resource("AWS::KMS::Key"))

    outcome = check(locked, command, draft)
    assert outcome.code == 7
    assert "Another (AWS::KMS::Key): not in the lock" in outcome.out
    assert "lock write" in outcome.out

    assert write(locked, command).code == 0
    assert check(locked, command, draft).code == 0


def test_a_stronger_policy_only_asks_for_a_fresh_lock(locked: Path, command: Any, draft: Draft) -> None:
    attribute("AWS::RDS::DBCluster", "DeletionPolicy", "Retain")(draft)

    outcome = check(locked, command, draft)
    assert outcome.code == 7
    assert "run it" in outcome.err

    assert write(locked, command).code == 0
    assert check(locked, command, draft).code == 0


def test_a_change_that_replaces_nothing_leaves_the_lock_as_it_is(locked: Path, command: Any, draft: Draft) -> None:
    change("AWS::RDS::DBCluster", "BackupRetentionPeriod", 30)(draft)
    change("AWS::ECS::Service", "DesiredCount", 7)(draft)
    before = content(locked)

    assert check(locked, command, draft).code == 0
    assert write(locked, command).code == 0
    assert content(locked) == before


def test_the_lock_of_a_stack_without_guarded_resources_is_taken_away(tmp_path: Path, command: Any) -> None:
    topic = {"Topic": resource("AWS::SNS::Topic")}
    write_assembly(tmp_path / "m" / "dev", stack("a", topic | {"Key": resource("AWS::KMS::Key")}))
    arguments = ("lock", "write", tmp_path / "m", "--locks", tmp_path / "locks")
    assert command(*arguments).code == 0
    assert (tmp_path / "locks" / "dev" / "a.json").exists()

    write_assembly(tmp_path / "m" / "dev", stack("a", topic))
    assert command(*arguments, "--accept", "a/Key", "--reason", REASON).code == 0
    assert not (tmp_path / "locks" / "dev" / "a.json").exists()


def test_locks_of_a_configuration_that_is_gone_are_an_error(locked: Path, command: Any, draft: Draft) -> None:
    (locked / "locks" / "ha-dr").mkdir()

    outcome = check(locked, command, draft)

    assert outcome.code == 2
    assert "ha-dr" in outcome.err


def test_a_broken_register_is_named(locked: Path, command: Any, draft: Draft) -> None:
    draft.write(locked / "matrix" / "dev")
    (locked / "locks" / "accepted.yaml").write_text("accepted: [{stack: only}]")

    outcome = write(locked, command)

    assert outcome.code == 2
    assert "accepted.yaml" in outcome.err
