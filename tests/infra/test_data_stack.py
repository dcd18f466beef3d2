"""Data: encrypted under our key, recoverable, in two zones, refusing plaintext, hard to delete."""

import json

import pytest

from support.templates import Deployment, Deployments, Resource, Synthesise

EVERY = ("dev", "standard", "lean", "ha-dr", "byo")


def _cluster(deployment: Deployment) -> Resource:
    return deployment.one("AWS::RDS::DBCluster", "signalbox-data/")


def test_the_storage_is_encrypted_under_the_customers_key(deployment: Deployment) -> None:
    cluster = _cluster(deployment)

    assert cluster.properties["StorageEncrypted"] is True
    assert deployment.refers(cluster, cluster.properties["KmsKeyId"]) == deployment.one(
        "AWS::KMS::Key", "signalbox-keys/Data"
    )


def test_backups_reach_back_35_days_in_a_set_window(deployment: Deployment) -> None:
    cluster = _cluster(deployment).properties

    assert cluster["BackupRetentionPeriod"] >= 35
    assert cluster["PreferredBackupWindow"] == "03:00-04:00"
    assert cluster["CopyTagsToSnapshot"] is True


def test_the_cluster_resists_deletion_and_leaves_a_snapshot(deployment: Deployment) -> None:
    cluster = _cluster(deployment)

    assert cluster.properties["DeletionProtection"] is True
    assert cluster.definition["DeletionPolicy"] == cluster.definition["UpdateReplacePolicy"] == "Snapshot"


@pytest.mark.parametrize(("name", "tiers"), [("dev", [0]), ("standard", [0, 1]), ("byo", [0, 1]), ("ha-dr", [0, 1, 2])])
def test_each_instance_has_a_zone_and_a_place_in_the_line_of_its_own(
    deployments: Deployments, name: str, tiers: list[int]
) -> None:
    instances = [it.properties for it in deployments(name).all("AWS::RDS::DBInstance")]

    assert [it["PromotionTier"] for it in instances] == tiers
    assert [it["AvailabilityZone"] for it in instances] == ["us-east-1a", "us-east-1b", "us-east-1c"][: len(tiers)]
    assert [it["DBInstanceIdentifier"] for it in instances] == [f"signalbox-{place + 1}" for place in tiers]


@pytest.mark.parametrize(
    ("name", "instance_class", "scaling"),
    [
        ("dev", "db.serverless", {"MinCapacity": 0, "MaxCapacity": 2, "SecondsUntilAutoPause": 300}),
        ("standard", "db.serverless", {"MinCapacity": 1, "MaxCapacity": 8}),
        ("byo", "db.r8g.large", None),
    ],
)
def test_the_capacity_is_as_asked(
    deployments: Deployments, name: str, instance_class: str, scaling: dict[str, int] | None
) -> None:
    deployment = deployments(name)

    assert {it.properties["DBInstanceClass"] for it in deployment.all("AWS::RDS::DBInstance")} == {instance_class}
    assert _cluster(deployment).properties.get("ServerlessV2ScalingConfiguration") == scaling


@pytest.mark.parametrize("name", EVERY)
def test_what_no_configuration_changes(deployments: Deployments, name: str) -> None:
    cluster = _cluster(deployments(name))
    properties = cluster.properties

    assert properties["StorageEncrypted"] is properties["DeletionProtection"] is True
    assert properties["EnableIAMDatabaseAuthentication"] is properties["ManageMasterUserPassword"] is True
    assert properties["DatabaseInsightsMode"] == "standard"
    assert properties["PerformanceInsightsKmsKeyId"] == properties["KmsKeyId"]
    assert (properties["DBClusterIdentifier"], properties["DatabaseName"]) == ("signalbox", "signalbox")
    assert cluster.definition["DeletionPolicy"] == "Snapshot"


def test_no_instance_is_public_and_each_takes_minor_upgrades(deployment: Deployment) -> None:
    for instance in deployment.all("AWS::RDS::DBInstance"):
        assert instance.properties["PubliclyAccessible"] is False, instance.path
        assert instance.properties["AutoMinorVersionUpgrade"] is True, instance.path
        assert instance.properties["CACertificateIdentifier"] == "rds-ca-rsa2048-g1", instance.path
        assert deployment.refers(instance, instance.properties["PerformanceInsightsKMSKeyId"]) == deployment.one(
            "AWS::KMS::Key", "signalbox-keys/Data"
        )


def test_the_server_refuses_plaintext_and_never_logs_values(deployment: Deployment) -> None:
    cluster = _cluster(deployment)
    group = deployment.one("AWS::RDS::DBClusterParameterGroup")
    parameters = group.properties["Parameters"]

    assert deployment.refers(cluster, cluster.properties["DBClusterParameterGroupName"]) == group
    assert parameters["rds.force_ssl"] == "1"
    assert parameters["ssl_min_protocol_version"] == "TLSv1.2"
    assert parameters["log_statement"] == "ddl"
    assert parameters["log_parameter_max_length"] == parameters["log_parameter_max_length_on_error"] == "0"
    assert group.properties["Family"] == "aurora-postgresql17"


def test_rds_keeps_and_rotates_the_master_password_under_the_customers_key(deployment: Deployment) -> None:
    cluster = _cluster(deployment)

    assert cluster.properties["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster.properties
    assert deployment.refers(cluster, cluster.properties["MasterUserSecret"]["KmsKeyId"]) == deployment.one(
        "AWS::KMS::Key", "signalbox-keys/Data"
    )
    assert cluster.properties["EnableIAMDatabaseAuthentication"] is True


def test_server_logs_go_to_our_log_group_which_exists_before_the_cluster(deployment: Deployment) -> None:
    cluster = _cluster(deployment)
    logs = deployment.one("AWS::Logs::LogGroup", "signalbox-data/")

    assert cluster.properties["EnableCloudwatchLogsExports"] == ["postgresql"]
    assert logs.properties["LogGroupName"] == f"/aws/rds/cluster/{cluster.properties['DBClusterIdentifier']}/postgresql"
    assert logs.name.split("/")[1] in cluster.definition["DependsOn"]


def test_extended_support_is_never_bought_by_accident(deployment: Deployment) -> None:
    assert _cluster(deployment).properties["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"


@pytest.mark.parametrize("name", EVERY)
def test_a_vault_that_nobody_can_empty_takes_a_snapshot_a_day(deployments: Deployments, name: str) -> None:
    deployment = deployments(name)
    vault = deployment.one("AWS::Backup::BackupVault", "signalbox-data/")
    rule = deployment.one("AWS::Backup::BackupPlan").properties["BackupPlan"]["BackupPlanRule"][0]
    selection = deployment.one("AWS::Backup::BackupSelection").properties["BackupSelection"]
    days = {"dev": (35, 3), "ha-dr": (365, 14)}.get(name, (90, 14))

    assert vault.properties["LockConfiguration"] == {"MinRetentionDays": 7, "ChangeableForDays": days[1]}
    assert vault.properties["EncryptionKeyArn"] == _cluster(deployment).properties["KmsKeyId"]
    assert vault.definition["DeletionPolicy"] == vault.definition["UpdateReplacePolicy"] == "Retain"
    assert _denied(vault) == {
        "backup:DeleteRecoveryPoint",
        "backup:UpdateRecoveryPointLifecycle",
        "backup:CopyIntoBackupVault",
    }
    assert rule["Lifecycle"] == {"DeleteAfterDays": days[0]}
    assert rule["ScheduleExpression"] == "cron(0 5 * * ? *)"
    assert selection["Resources"] == ["arn:aws:rds:us-east-1:000000000000:cluster:signalbox"]
    assert ("CopyActions" in rule) == (name == "ha-dr")


def _denied(vault: Resource) -> set[str]:
    statements = vault.properties["AccessPolicy"]["Statement"]
    assert {it["Effect"] for it in statements} == {"Deny"}
    actions = [it["Action"] if isinstance(it["Action"], list) else [it["Action"]] for it in statements]
    return {action for some in actions for action in some}


def test_backups_are_taken_with_no_right_beyond_this_cluster(deployment: Deployment) -> None:
    policy = deployment.one("AWS::IAM::Policy", "signalbox-data/Backup/").properties["PolicyDocument"]

    for statement in policy["Statement"]:
        resources = json.dumps(statement["Resource"])
        assert '"*"' not in resources, statement
        assert "kms" not in json.dumps(statement["Action"]) or "kms:ViaService" in json.dumps(statement["Condition"])


@pytest.mark.parametrize(("name", "days"), [("dev", 1), ("standard", 400), ("byo", 400)])
def test_the_audit_archive_is_locked_versioned_and_encrypted(deployments: Deployments, name: str, days: int) -> None:
    deployment = deployments(name)
    bucket = deployment.one("AWS::S3::Bucket", "signalbox-data/Audit").properties
    policy = deployment.one("AWS::S3::BucketPolicy", "signalbox-data/Audit").properties["PolicyDocument"]

    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "COMPLIANCE", "Days": days}
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["BucketKeyEnabled"] is True
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogs8B620ECA"}
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert {"Bool": {"aws:SecureTransport": "false"}} in [it.get("Condition") for it in policy["Statement"]]
    assert {it["Effect"] for it in policy["Statement"]} == {"Deny"}


@pytest.mark.parametrize("name", EVERY)
def test_where_the_database_is_can_be_looked_up_and_changed_without_the_code(
    deployments: Deployments, name: str
) -> None:
    names = {it.properties["Name"] for it in deployments(name).all("AWS::SSM::Parameter") if "Database" in it.path}

    assert names == {f"/signalbox/database/{it}" for it in ("host", "port", "secret-arn", "resource-id")}


def test_a_roles_right_to_the_password_follows_the_parameter(deployment: Deployment) -> None:
    policy = json.dumps(deployment.one("AWS::IAM::Policy", "signalbox-service/Serve/ExecutionRole").properties)
    (name,) = (
        name
        for name, it in deployment.templates["signalbox-service"]["Parameters"].items()
        if it.get("Default") == "/signalbox/database/secret-arn"
    )

    assert json.dumps({"Ref": name}) in policy


def test_stacks_that_hold_state_cannot_be_deleted(deployments: Deployments) -> None:
    artifacts = deployments("ha-dr").manifest["artifacts"]
    protected = {name for name, it in artifacts.items() if it["properties"].get("terminationProtection")}

    assert {f"signalbox-{name}" for name in ("keys", "network", "data", "recovery")} <= protected


def test_the_ids_of_what_holds_state_have_not_changed(deployment: Deployment) -> None:
    """Another logical id, cluster identifier or database name makes CloudFormation replace the resource."""
    stateful = {
        "AWS::Backup::BackupVault",
        "AWS::KMS::Key",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBSubnetGroup",
        "AWS::S3::Bucket",
    }
    of_ours = ("signalbox-keys/", "signalbox-network/", "signalbox-data/")

    assert {it.name for it in deployment.resources if it.kind in stateful and it.name.startswith(of_ours)} == {
        "signalbox-keys/Data666C94C7",
        "signalbox-keys/Operations993AC38D",
        "signalbox-keys/Evidence4CC26D68",
        "signalbox-data/DatabaseCluster5B53A178",
        "signalbox-data/DatabaseClusterSubnets5540150D",
        "signalbox-data/Vault23237E5B",
        "signalbox-data/AccessLogs8B620ECA",
        "signalbox-data/Audit3D8ADE0A",
    }


def test_turning_replication_on_replaces_nothing(synthesise: Synthesise) -> None:
    """The members of the global database: what identifies them stays, and the password becomes one of our own."""
    second = {
        "region": "us-west-2",
        "availability_zones": "us-west-2a,us-west-2b,us-west-2c",
        "cidr": "10.48.0.0/16",
        "s3_prefix_list_id": "pl-68a54001",
        "pilot_light": "true",
    }
    before, after = (
        _cluster(
            synthesise(**{f"recovery__{name}": value for name, value in second.items()}, recovery__global_database=on)
        )
        for on in ("false", "true")
    )
    changed = {
        name
        for name in before.properties.keys() | after.properties.keys()
        if before.properties.get(name) != after.properties.get(name)
    }

    assert before.name == after.name
    assert changed == {"ManageMasterUserPassword", "MasterUserSecret", "MasterUserPassword"}
