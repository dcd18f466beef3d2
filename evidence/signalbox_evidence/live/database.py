"""Clusters and instances as RDS describes them. Instances added to a cluster outside of the stacks are included."""

from datetime import UTC, datetime
from typing import Any  # API answers are free JSON

from signalbox_evidence.facts.database import Cluster, ForcedTls, Instance, QueryLog, RestoreWindow
from signalbox_evidence.facts.world import Fact, Subject
from signalbox_evidence.live.deployment import Deployment, complete

_CLUSTER, _INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"

Row = dict[str, Any]


def _clusters(deployment: Deployment) -> list[Row]:
    declared = deployment.ids(_CLUSTER)
    rows = [
        row
        for name in declared
        for row in deployment.probe.rows("rds:DescribeDBClusters", "DBClusters", DBClusterIdentifier=name)
    ]
    complete("clusters", declared, [row["DBClusterIdentifier"] for row in rows])
    return rows


def _subject(row: Row) -> Subject:
    return Subject(type=_CLUSTER, id=row["DBClusterIdentifier"], arn=row["DBClusterArn"])


def _subnets(deployment: Deployment, row: Row) -> Fact[tuple[str, ...]]:
    name = row.get("DBSubnetGroup")
    if not name:
        return None
    groups = deployment.probe.rows("rds:DescribeDBSubnetGroups", "DBSubnetGroups", DBSubnetGroupName=name)
    return tuple(sorted(subnet["SubnetIdentifier"] for group in groups for subnet in group["Subnets"]))


def clusters(deployment: Deployment) -> list[Cluster]:
    return [
        Cluster(
            subject=_subject(row),
            encrypted=row.get("StorageEncrypted"),
            # an ARN, whose last part is the id by which CloudFormation knows a key
            key_id=row["KmsKeyId"].rpartition("/")[2] if row.get("KmsKeyId") else None,
            retention_days=row.get("BackupRetentionPeriod"),
            backup_window=row.get("PreferredBackupWindow"),
            deletion_protection=row.get("DeletionProtection"),
            iam_authentication=row.get("IAMDatabaseAuthenticationEnabled"),
            port=row.get("Port"),
            security_groups=tuple(sorted(item["VpcSecurityGroupId"] for item in row.get("VpcSecurityGroups", []))),
            subnets=_subnets(deployment, row),
            follows=bool(row.get("GlobalWriteForwardingStatus")),  # told of clusters that follow alone
        )
        for row in _clusters(deployment)
    ]


def instances(deployment: Deployment) -> list[Instance]:
    members = {row["DBClusterIdentifier"] for row in _clusters(deployment)}
    declared = deployment.ids(_INSTANCE)
    rows = [
        row
        for row in deployment.probe.rows("rds:DescribeDBInstances", "DBInstances")
        if row.get("DBClusterIdentifier") in members or row["DBInstanceIdentifier"] in declared
    ]
    complete("instances", declared, [row["DBInstanceIdentifier"] for row in rows])
    return [
        Instance(
            subject=Subject(type=_INSTANCE, id=row["DBInstanceIdentifier"], arn=row["DBInstanceArn"]),
            cluster_id=row.get("DBClusterIdentifier"),
            public=row.get("PubliclyAccessible"),
            promotion_tier=row.get("PromotionTier"),
            zone=row.get("AvailabilityZone"),
        )
        for row in rows
    ]


def _parameter(deployment: Deployment, row: Row, name: str) -> Fact[str]:
    group = row.get("DBClusterParameterGroup")
    if not group:
        return None
    parameters = deployment.probe.rows(
        "rds:DescribeDBClusterParameters", "Parameters", DBClusterParameterGroupName=group
    )
    return next((it.get("ParameterValue") for it in parameters if it["ParameterName"] == name), None)


def query_logs(deployment: Deployment) -> list[QueryLog]:
    return [
        QueryLog(
            cluster=_subject(row),
            statements=_parameter(deployment, row, "log_statement"),
            min_duration=_parameter(deployment, row, "log_min_duration_statement"),
            parameter_length=_parameter(deployment, row, "log_parameter_max_length"),
            parameter_length_on_error=_parameter(deployment, row, "log_parameter_max_length_on_error"),
        )
        for row in _clusters(deployment)
    ]


def forced_tls(deployment: Deployment) -> list[ForcedTls]:
    found: list[ForcedTls] = []
    for row in _clusters(deployment):
        states = [member.get("DBClusterParameterGroupStatus") for member in row.get("DBClusterMembers", [])]
        in_sync = all(state == "in-sync" for state in states) if states else None
        force_ssl = _parameter(deployment, row, "rds.force_ssl")
        found.append(ForcedTls(cluster=_subject(row), force_ssl=force_ssl, in_sync=in_sync))
    return found


def restore_windows(deployment: Deployment) -> list[RestoreWindow]:
    return [
        RestoreWindow(
            cluster=_subject(row),
            retention_days=row.get("BackupRetentionPeriod"),
            created=row.get("ClusterCreateTime"),
            earliest=row.get("EarliestRestorableTime"),
            latest=row.get("LatestRestorableTime"),
            read_at=datetime.now(UTC),
        )
        for row in _clusters(deployment)
    ]
