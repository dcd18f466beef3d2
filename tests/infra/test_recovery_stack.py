"""Recovery: a vault and a place to restore into in the second region, and a replica where it is asked for."""

import json

import pytest

from support.templates import Deployment, Deployments, Synthesise

WEST = {
    "recovery__region": "us-west-2",
    "recovery__availability_zones": "us-west-2a,us-west-2b,us-west-2c",
    "recovery__cidr": "10.48.0.0/16",
    "recovery__s3_prefix_list_id": "pl-68a54001",
}


@pytest.fixture(scope="session")
def replicated(synthesise: Synthesise) -> Deployment:
    return synthesise(**WEST, recovery__pilot_light="true", recovery__global_database="true")


def _of(deployment: Deployment, stack: str) -> dict[str, int]:
    kinds = [it.kind for it in deployment.resources if it.name.startswith(f"signalbox-{stack}/")]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def test_without_a_second_region_there_is_none(deployment: Deployment) -> None:
    assert not {name for name in deployment.templates if "recovery" in name or "replica" in name}


def test_copies_go_into_a_locked_vault_under_a_key_of_the_second_region(deployments: Deployments) -> None:
    deployment = deployments("ha-dr")
    vault = deployment.one("AWS::Backup::BackupVault", "signalbox-recovery/")
    rule = deployment.one("AWS::Backup::BackupPlan").properties["BackupPlan"]["BackupPlanRule"][0]
    (copied,) = rule["CopyActions"]

    region = copied["DestinationBackupVaultArn"].split(":")[3]
    assert copied["DestinationBackupVaultArn"].endswith(f":{vault.properties['BackupVaultName']}")
    assert deployment.manifest["artifacts"]["signalbox-recovery"]["environment"].endswith(f"/{region}")
    assert copied["Lifecycle"] == rule["Lifecycle"]
    assert vault.properties["LockConfiguration"] == {"MinRetentionDays": 7, "ChangeableForDays": 14}
    assert deployment.refers(vault, vault.properties["EncryptionKeyArn"]) == deployment.one(
        "AWS::KMS::Key", "signalbox-recovery/"
    )


def test_the_role_of_the_backups_may_use_the_second_key_by_its_alias_only(deployments: Deployments) -> None:
    deployment = deployments("ha-dr")
    policy = deployment.one("AWS::IAM::Policy", "signalbox-data/Backup/").properties["PolicyDocument"]
    alias = deployment.one("AWS::KMS::Alias", "signalbox-recovery/").properties["AliasName"]
    abroad = [it for it in policy["Statement"] if "arn:aws:kms:us-west-2" in json.dumps(it["Resource"])]

    assert [it["Condition"]["ForAnyValue:StringEquals"] for it in abroad] == [{"kms:ResourceAliases": alias}]


def test_the_vault_exists_before_the_plan_that_copies_into_it(deployments: Deployments) -> None:
    artifacts = deployments("ha-dr").manifest["artifacts"]

    assert "signalbox-recovery" in artifacts["signalbox-data"]["dependencies"]


def test_no_template_of_the_second_region_needs_the_first(replicated: Deployment) -> None:
    for stack in ("signalbox-recovery", "signalbox-replica"):
        template = json.dumps(replicated.templates[stack])
        assert "us-east-1" not in template, stack
    assert "Fn::ImportValue" not in json.dumps(replicated.templates["signalbox-recovery"])


def test_the_place_has_no_way_out_and_nobody_may_connect(deployments: Deployments) -> None:
    deployment = deployments("ha-dr")
    group = deployment.one("AWS::EC2::SecurityGroup", "signalbox-recovery/Place/SecurityGroup")
    kinds = _of(deployment, "recovery")

    assert "SecurityGroupIngress" not in group.properties
    assert kinds.keys().isdisjoint({"AWS::EC2::NatGateway", "AWS::RDS::DBCluster", "AWS::EC2::SecurityGroupIngress"})
    assert kinds["AWS::EC2::VPCEndpoint"] == 1  # the gateway to S3, which costs nothing


def test_what_the_restore_commands_name_is_there(deployments: Deployments) -> None:
    deployment = deployments("ha-dr")
    outputs = deployment.templates["signalbox-recovery"]["Outputs"]

    assert {"RestoreKey", "RestoreSecurityGroup", "RestoreSubnetGroup", "RestoreParameterGroup"} <= outputs.keys()
    subnets = deployment.one("AWS::RDS::DBSubnetGroup", "signalbox-recovery/").properties
    parameters = deployment.one("AWS::RDS::DBClusterParameterGroup", "signalbox-recovery/").properties
    assert subnets["DBSubnetGroupName"] == parameters["DBClusterParameterGroupName"] == "signalbox-recovery"
    assert parameters["Parameters"]["rds.force_ssl"] == "1"


def test_a_vault_alone_needs_no_network(synthesise: Synthesise) -> None:
    alone = synthesise(**WEST, recovery__pilot_light="false", recovery__global_database="false")

    assert _of(alone, "recovery").keys() == {"AWS::KMS::Key", "AWS::KMS::Alias", "AWS::Backup::BackupVault"}


def test_the_primary_becomes_a_member_as_it_is(replicated: Deployment) -> None:
    made = replicated.one("AWS::RDS::GlobalCluster")
    source = made.properties["SourceDBClusterIdentifier"]["Fn::Join"][1][-1]

    assert replicated.refers(made, source) == replicated.one("AWS::RDS::DBCluster", "signalbox-data/")
    assert made.properties["DeletionProtection"] is True
    assert made.definition["DeletionPolicy"] == "Retain"
    assert not made.properties.keys() & {"Engine", "EngineVersion", "StorageEncrypted"}  # the source's


def test_the_replica_follows_with_a_key_of_its_own_and_no_password(replicated: Deployment) -> None:
    cluster = replicated.one("AWS::RDS::DBCluster", "signalbox-replica/")
    primary = replicated.one("AWS::RDS::DBCluster", "signalbox-data/").properties
    properties = cluster.properties

    assert properties["GlobalClusterIdentifier"] == "signalbox"
    assert not properties.keys() & {"MasterUsername", "MasterUserPassword", "DatabaseName"}
    assert replicated.refers(cluster, properties["KmsKeyId"]) == replicated.one("AWS::KMS::Key", "signalbox-recovery/")
    for same in ("EngineVersion", "StorageEncrypted", "DeletionProtection", "BackupRetentionPeriod"):
        assert properties[same] == primary[same], same
    artifacts = replicated.manifest["artifacts"]
    assert {"signalbox-data", "signalbox-recovery"} <= set(artifacts["signalbox-replica"]["dependencies"])


def test_the_password_of_a_member_is_a_secret_of_ours(replicated: Deployment) -> None:
    cluster = replicated.one("AWS::RDS::DBCluster", "signalbox-data/").properties
    secret = replicated.one("AWS::SecretsManager::Secret", "signalbox-data/")

    assert "ManageMasterUserPassword" not in cluster
    assert cluster["MasterUsername"] == "signalbox"
    assert "{{resolve:secretsmanager:" in json.dumps(cluster["MasterUserPassword"])
    assert "KmsKeyId" in secret.properties
    assert secret.definition["DeletionPolicy"] == "Retain"
