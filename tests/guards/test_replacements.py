import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from signalbox_guards.acceptances import Acceptances
from signalbox_guards.assembly import Assembly
from signalbox_guards.changes import Change, Kind
from signalbox_guards.replacements import compare
from support.assemblies import Draft, Weakening, attribute, change
from support.hand_made import Json, assembly, resource, stack, write_assembly

NOTHING = Acceptances()


def changes(old: Assembly, new: Assembly, register: Acceptances = NOTHING) -> dict[str, Change]:
    return {found.address: found for found in compare({"dev": old}, {"dev": new}, register)}


def keycloak(**properties: Any) -> Assembly:
    """The database of cdk-keycloak: an Aurora cluster with a writer, in a stack of the user's own."""
    cluster = resource(
        "AWS::RDS::DBCluster",
        {
            "Engine": "aurora-mysql",
            "MasterUsername": "admin",
            "DBSubnetGroupName": {"Ref": "KeyCloakDatabaseDBClusterSubnets"},
            "StorageEncrypted": True,
            "BackupRetentionPeriod": 7,
            **properties,
        },
        DeletionPolicy="Delete",
        UpdateReplacePolicy="Delete",
    )
    writer = resource(
        "AWS::RDS::DBInstance",
        {
            "DBClusterIdentifier": {"Ref": "KeyCloakDatabaseDBCluster"},
            "DBInstanceClass": "db.r5.large",
            "Engine": "aurora-mysql",
        },
    )
    subnets = resource("AWS::RDS::DBSubnetGroup", {"SubnetIds": ["subnet-1", "subnet-2"]})
    return assembly(
        stack(
            "keycloak",
            {
                "KeyCloakDatabaseDBCluster": cluster,
                "KeyCloakDatabaseDBClusterInstance1": writer,
                "KeyCloakDatabaseDBClusterSubnets": subnets,
            },
        )
    )


def test_a_patch_release_that_adds_a_default_database_name_is_stopped() -> None:
    """aws-samples/cdk-keycloak #123: 0.2.14 -> 0.2.15 added it; the database was recreated and every user lost."""
    found = changes(keycloak(), keycloak(DatabaseName="keycloak"))

    cluster = found["keycloak/KeyCloakDatabaseDBCluster"]
    assert (cluster.kind, cluster.fails) == (Kind.REPLACED, True)
    assert cluster.causes == ('DatabaseName (create-only): was nothing, becomes "keycloak"',)
    writer = found["keycloak/KeyCloakDatabaseDBClusterInstance1"]
    assert (writer.kind, writer.fails) == (Kind.REPLACED, True)
    assert writer.causes == ("DBClusterIdentifier: refers to keycloak/KeyCloakDatabaseDBCluster: replaced",)
    assert "keycloak/KeyCloakDatabaseDBClusterSubnets" not in found


def library_update(*, depends: list[str]) -> Assembly:
    """The cluster of the report, with the logical ids that it shows."""

    def instance() -> Json:
        return resource(
            "AWS::RDS::DBInstance",
            {
                "DBClusterIdentifier": {"Ref": "DbDbCluster8FBC7FAD"},
                "DBInstanceClass": "db.r6g.large",
                "Engine": "aurora-postgresql",
                "PubliclyAccessible": False,
            },
            DeletionPolicy="Delete",
            UpdateReplacePolicy="Delete",
        )

    reader = instance() | ({"DependsOn": depends} if depends else {})
    return assembly(
        stack(
            "db",
            {
                "DbDbCluster8FBC7FAD": resource("AWS::RDS::DBCluster", {"Engine": "aurora-postgresql"}),
                "DbDbClusterwriterCE53952E": instance(),
                "DbDbClusterreaderB277327D": reader,
            },
        )
    )


def test_a_library_update_that_orders_database_instances_anew_is_stopped() -> None:
    """aws-cdk #30383: 2.142 -> 2.143 wrote a DependsOn of the reader on the writer (its pull request 30277); the
    deployment then set out to recreate the database. No create-only property differs, so the order itself counts."""
    found = changes(library_update(depends=[]), library_update(depends=["DbDbClusterwriterCE53952E"]))

    assert set(found) == {"db/DbDbClusterreaderB277327D"}
    reader = found["db/DbDbClusterreaderB277327D"]
    assert (reader.kind, reader.fails) == (Kind.MAY_REPLACE, True)
    assert "DependsOn" in reader.causes[0]


Compare = Callable[[Draft], list[dict[str, Any]]]


@pytest.fixture
def upgrade(pristine: Draft, tmp_path: Path, command: Any) -> Compare:
    """What `replacements` says of an upgrade from the app as it is to a draft of it."""

    def run(draft: Draft) -> list[dict[str, Any]]:
        old, new = pristine.write(tmp_path / "old"), draft.write(tmp_path / "new")
        outcome = command("replacements", old, new, "-o", "json")
        found: list[dict[str, Any]] = json.loads(outcome.out)
        assert outcome.code == (7 if any(it["fails"] for it in found) else 0)
        return found

    return run


def rename(draft: Draft, old: str, new: str) -> None:
    for name, template in draft.stacks.items():
        draft.stacks[name] = json.loads(json.dumps(template).replace(f'"{old}"', f'"{new}"'))


def test_a_renamed_construct_is_stopped(draft: Draft, upgrade: Compare) -> None:
    cluster = draft.id_of("AWS::RDS::DBCluster")
    rename(draft, cluster, "Renamed")

    found = {it["logical_id"]: it for it in upgrade(draft)}

    assert found[cluster]["kind"] == "renamed"
    assert "Renamed" in found[cluster]["causes"][0]


def test_a_resource_that_goes_to_another_stack_is_stopped(draft: Draft, upgrade: Compare) -> None:
    group = draft.id_of("AWS::Logs::LogGroup")
    source = next(name for name, template in draft.stacks.items() if group in template["Resources"])
    target = next(name for name in draft.stacks if name != source)
    draft.stacks[target]["Resources"][group] = draft.stacks[source]["Resources"].pop(group)

    found = {(it["stack"], it["logical_id"]): it for it in upgrade(draft)}

    assert found[source, group]["kind"] == "moved"
    assert target in found[source, group]["causes"][0]


def test_a_deleted_resource_is_stopped_even_if_it_is_retained(draft: Draft, upgrade: Compare) -> None:
    bucket = draft.id_of("AWS::S3::Bucket")
    for template in draft.stacks.values():
        template["Resources"].pop(bucket, None)

    found = {it["logical_id"]: it for it in upgrade(draft)}

    assert found[bucket]["kind"] == "removed"
    assert "Retain" in found[bucket]["causes"][0]


REPLACING: list[tuple[Weakening, str]] = [
    (change("AWS::RDS::DBCluster", "KmsKeyId", "arn:aws:kms:us-east-1:000000000000:key/other"), "KmsKeyId"),
    (change("AWS::RDS::DBCluster", "StorageEncrypted", value=False), "StorageEncrypted"),
    (change("AWS::RDS::DBCluster", "DBClusterIdentifier", None), "DBClusterIdentifier"),
    (change("AWS::RDS::DBCluster", "SnapshotIdentifier", "snap"), "SnapshotIdentifier"),
    (change("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", "named"), "DBSubnetGroupName"),
    (change("AWS::EC2::VPC", "CidrBlock", "10.1.0.0/16"), "CidrBlock"),
    (change("AWS::Logs::LogGroup", "LogGroupName", "/other"), "LogGroupName"),
    (change("AWS::S3::Bucket", "BucketName", "named"), "BucketName"),
    (change("AWS::ElasticLoadBalancingV2::LoadBalancer", "Scheme", "internal"), "Scheme"),
    (change("AWS::RDS::DBInstance", "AvailabilityZone", "us-east-1f"), "AvailabilityZone"),  # conditionally
]


@pytest.mark.parametrize(("weaken", "cause"), REPLACING, ids=[cause for _, cause in REPLACING])
def test_a_changed_create_only_property_is_stopped(
    draft: Draft, upgrade: Compare, weaken: Weakening, cause: str
) -> None:
    weaken(draft)

    found = upgrade(draft)

    assert any(it["guarded"] and any(cause in text for text in it["causes"]) for it in found)


def test_a_replaced_subnet_group_replaces_the_cluster_and_its_instances(draft: Draft, upgrade: Compare) -> None:
    change("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", "named")(draft)

    found = {it["logical_id"]: it for it in upgrade(draft)}

    cluster = draft.id_of("AWS::RDS::DBCluster")
    assert found[cluster]["kind"] == "replaced"
    assert "refers to" in found[cluster]["causes"][0]
    assert all(found[name]["kind"] == "replaced" for _, name, _ in draft.all("AWS::RDS::DBInstance"))


def test_a_replaced_vpc_is_followed_over_exports_into_other_stacks(draft: Draft, upgrade: Compare) -> None:
    change("AWS::EC2::VPC", "CidrBlock", "10.1.0.0/16")(draft)

    found = {(it["stack"].rpartition("-")[2], it["type"]) for it in upgrade(draft) if it["kind"] == "replaced"}

    assert ("network", "AWS::EC2::Subnet") in found
    assert ("service", "AWS::EC2::SecurityGroup") in found


def test_another_type_under_the_same_id_is_stopped() -> None:
    old = assembly(stack("s", {"Store": resource("AWS::S3::Bucket")}))
    new = assembly(stack("s", {"Store": resource("AWS::DynamoDB::Table")}))

    assert changes(old, new)["s/Store"].kind == Kind.TYPE


HARMLESS: list[Weakening] = [
    change("AWS::RDS::DBCluster", "Tags", [{"Key": "owner", "Value": "someone"}]),
    change("AWS::RDS::DBCluster", "EngineVersion", "17.9"),
    change("AWS::RDS::DBCluster", "BackupRetentionPeriod", 30),
    change("AWS::RDS::DBCluster", "ServerlessV2ScalingConfiguration.MaxCapacity", 16),
    change("AWS::RDS::DBInstance", "DBInstanceClass", "db.r8g.large"),
    change("AWS::ECS::Service", "DesiredCount", 7),
    change("AWS::Logs::LogGroup", "RetentionInDays", 731),
    change("AWS::KMS::Key", "Description", "of other words"),
    change("AWS::S3::Bucket", "VersioningConfiguration", {"Status": "Enabled"}),
    attribute("AWS::KMS::Key", "Metadata", None),
]


@pytest.mark.parametrize("alter", HARMLESS)
def test_a_change_in_place_is_let_through(draft: Draft, upgrade: Compare, alter: Weakening) -> None:
    alter(draft)

    assert upgrade(draft) == []


def test_a_replaced_task_definition_is_information(draft: Draft, upgrade: Compare) -> None:
    change("AWS::ECS::TaskDefinition", "Cpu", "4096")(draft)

    found = upgrade(draft)

    assert [(it["type"], it["kind"]) for it in found] == [("AWS::ECS::TaskDefinition", "replaced")]
    assert not found[0]["guarded"]


@pytest.mark.parametrize("name", ["DeletionPolicy", "UpdateReplacePolicy"])
def test_a_weaker_policy_is_stopped(draft: Draft, upgrade: Compare, name: str) -> None:
    attribute("AWS::KMS::Key", name, "Delete")(draft)

    found = upgrade(draft)

    assert [(it["kind"], it["becomes"]) for it in found] == [("loses protection", f"{name}=Delete")]


def test_lost_deletion_and_termination_protection_are_stopped(draft: Draft, upgrade: Compare) -> None:
    change("AWS::RDS::DBCluster", "DeletionProtection", value=False)(draft)
    data = draft.all("AWS::RDS::DBCluster")[0][0]
    draft.protect(data, protected=False)

    assert {it["becomes"] for it in upgrade(draft)} == {"DeletionProtection=false", "TerminationProtection=false"}


def test_an_acceptance_holds_for_the_state_it_names_and_for_no_other() -> None:
    [found] = [it for it in changes(keycloak(), keycloak(DatabaseName="a")).values() if "DBCluster" in it.type]
    register = NOTHING.with_entry(found.address, found.becomes, "empty so far, may go", date(2026, 11, 25))

    accepted = changes(keycloak(), keycloak(DatabaseName="a"), register)[found.address]
    assert not accepted.fails
    assert "empty so far" in str(accepted.accepted)
    assert changes(keycloak(), keycloak(DatabaseName="b"), register)[found.address].fails


def test_values_of_parameters_are_compared_by_their_defaults() -> None:
    def built(value: object, parameter: Json | None = None) -> Assembly:
        group = resource("AWS::Logs::LogGroup", {"LogGroupName": value})
        return assembly(stack("s", {"Logs": group}, Parameters={"Name": parameter or {"Type": "String"}}))

    plain = built("/app/us-east-1")
    by_parameter = built({"Fn::Sub": "/${Name}/${AWS::Region}"}, {"Type": "String", "Default": "app"})
    unknown = built({"Fn::Sub": "/${Name}/${AWS::Region}"})

    assert changes(plain, by_parameter) == {}
    assert changes(unknown, unknown) == {}
    assert changes(plain, unknown)["s/Logs"].kind == Kind.REPLACED


def test_a_nested_create_only_property_is_found() -> None:
    def built(key_type: str) -> Assembly:
        encryption = {"EncryptionType": key_type}
        return assembly(
            stack("s", {"Images": resource("AWS::ECR::Repository", {"EncryptionConfiguration": encryption})})
        )

    causes = changes(built("AES256"), built("KMS"))["s/Images"].causes
    assert any(cause.startswith("EncryptionConfiguration/EncryptionType") for cause in causes)


def test_every_change_of_a_type_that_no_schema_knows_replaces() -> None:
    old = assembly(stack("s", {"Thing": resource("Some::Other::Thing", {"Size": 1})}))
    new = assembly(stack("s", {"Thing": resource("Some::Other::Thing", {"Size": 2})}))

    assert changes(old, new)["s/Thing"].kind == Kind.REPLACED


def test_a_condition_that_turns_false_deletes() -> None:
    def built(value: str) -> Assembly:
        conditions = {"Wanted": {"Fn::Equals": [value, "yes"]}}
        return assembly(stack("s", {"Key": resource("AWS::KMS::Key", Condition="Wanted")}, Conditions=conditions))

    assert changes(built("yes"), built("yes")) == {}
    assert changes(built("yes"), built("no"))["s/Key"].kind == Kind.REMOVED


def test_each_configuration_is_compared_and_a_missing_one_is_an_error(tmp_path: Path, command: Any) -> None:
    key = stack("s", {"Key": resource("AWS::KMS::Key")})
    empty = stack("s", {"Other": resource("AWS::SNS::Topic")})
    for name in ("dev", "ha-dr"):
        write_assembly(tmp_path / "old" / name, key)
    write_assembly(tmp_path / "new" / "dev", key)
    write_assembly(tmp_path / "partial" / "dev", key)
    write_assembly(tmp_path / "partial" / "standard", key)
    write_assembly(tmp_path / "new" / "ha-dr", empty)

    outcome = command("replacements", tmp_path / "old", tmp_path / "new")
    assert outcome.code == 7
    assert "FAIL: ha-dr: s/Key (AWS::KMS::Key): removed" in outcome.out

    outcome = command("replacements", tmp_path / "old", tmp_path / "partial")
    assert outcome.code == 2
    assert "ha-dr" in outcome.err
