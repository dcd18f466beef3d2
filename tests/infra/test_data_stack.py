"""Data: encrypted under our key, recoverable, in two zones, refusing plaintext, hard to delete."""

from support.templates import Deployment, Resource


def _cluster(deployment: Deployment) -> Resource:
    return deployment.one("AWS::RDS::DBCluster")


def test_the_storage_is_encrypted_under_the_customers_key(deployment: Deployment) -> None:
    cluster = _cluster(deployment)

    assert cluster.properties["StorageEncrypted"] is True
    assert deployment.refers(cluster, cluster.properties["KmsKeyId"]) == deployment.one(
        "AWS::KMS::Key", "signalbox-data/Key"
    )


def test_every_key_rotates_yearly_and_survives_its_stack(deployment: Deployment) -> None:
    for key in deployment.all("AWS::KMS::Key"):
        assert key.properties["EnableKeyRotation"] is True, key.path
        assert key.properties["RotationPeriodInDays"] == 365, key.path
        assert key.properties["PendingWindowInDays"] == 30, key.path
        assert key.definition["DeletionPolicy"] == key.definition["UpdateReplacePolicy"] == "Retain", key.path


def test_every_key_policy_admits_this_account_and_its_log_groups_only(deployment: Deployment) -> None:
    root = {"AWS": "arn:aws:iam::000000000000:root"}
    logs = {"Service": "logs.us-east-1.amazonaws.com"}

    for key in deployment.all("AWS::KMS::Key"):
        for statement in key.properties["KeyPolicy"]["Statement"]:
            assert statement["Principal"] in (root, logs), key.path
            if statement["Principal"] == logs:
                assert statement["Condition"]["ArnLike"] == {
                    "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:us-east-1:000000000000:log-group:*"
                }


def test_backups_reach_back_35_days_in_a_set_window(deployment: Deployment) -> None:
    cluster = _cluster(deployment).properties

    assert cluster["BackupRetentionPeriod"] >= 35
    assert cluster["PreferredBackupWindow"] == "03:00-04:00"
    assert cluster["CopyTagsToSnapshot"] is True


def test_the_cluster_resists_deletion_and_leaves_a_snapshot(deployment: Deployment) -> None:
    cluster = _cluster(deployment)

    assert cluster.properties["DeletionProtection"] is True
    assert cluster.definition["DeletionPolicy"] == cluster.definition["UpdateReplacePolicy"] == "Snapshot"


def test_two_instances_of_tier_0_and_1_stand_in_different_zones(deployment: Deployment) -> None:
    instances = [instance.properties for instance in deployment.all("AWS::RDS::DBInstance")]

    assert [instance["PromotionTier"] for instance in instances] == [0, 1]
    assert [instance["AvailabilityZone"] for instance in instances] == ["us-east-1a", "us-east-1b"]


def test_no_instance_is_public_and_each_takes_minor_upgrades(deployment: Deployment) -> None:
    for instance in deployment.all("AWS::RDS::DBInstance"):
        assert instance.properties["PubliclyAccessible"] is False, instance.path
        assert instance.properties["AutoMinorVersionUpgrade"] is True, instance.path
        assert instance.properties["CACertificateIdentifier"] == "rds-ca-rsa2048-g1", instance.path
        assert deployment.refers(instance, instance.properties["PerformanceInsightsKMSKeyId"]) == deployment.one(
            "AWS::KMS::Key", "signalbox-data/Key"
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
        "AWS::KMS::Key", "signalbox-data/Key"
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


def test_network_and_data_cannot_be_deleted_as_stacks(deployment: Deployment) -> None:
    protected = {
        name
        for name, artifact in deployment.manifest["artifacts"].items()
        if artifact["properties"].get("terminationProtection")
    }

    assert protected == {"signalbox-network", "signalbox-data"}


def test_the_ids_of_what_holds_state_have_not_changed(deployment: Deployment) -> None:
    """Another logical id, cluster identifier or database name makes CloudFormation replace the resource."""
    stateful = {"AWS::KMS::Key", "AWS::RDS::DBCluster", "AWS::RDS::DBSubnetGroup", "AWS::S3::Bucket"}
    cluster = _cluster(deployment).properties

    assert {resource.name for resource in deployment.resources if resource.kind in stateful} == {
        "signalbox-network/LogKeyE83D0C1B",
        "signalbox-data/Key961B73FD",
        "signalbox-data/DatabaseCluster5B53A178",
        "signalbox-data/DatabaseClusterSubnets5540150D",
        "signalbox-edge/EdgeAccessLogsC159D9EF",
    }
    assert (cluster["DBClusterIdentifier"], cluster["DatabaseName"]) == ("signalbox", "signalbox")
