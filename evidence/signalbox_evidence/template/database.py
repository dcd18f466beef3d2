"""Clusters and instances as the template writes them."""

from signalbox_evidence.facts.database import Cluster, ForcedTls, Instance, QueryLog
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.resources import Resource, Resources, text

_DEFAULT_PORTS = {
    "aurora-postgresql": 5432
}  # RDS CreateDBCluster, Port: "RDS for PostgreSQL and Aurora PostgreSQL - 5432"


def _subnets(resources: Resources, cluster: Resource) -> Fact[tuple[str, ...]]:
    name = cluster.text("DBSubnetGroupName")
    if name is None or isinstance(name, Unknown):
        return name
    group = resources.by_id(name)
    return Unknown(f"subnet group {name} is not in this assembly") if group is None else group.texts("SubnetIds")


def _port(cluster: Resource) -> Fact[int]:
    written = cluster.number("Port")
    return _DEFAULT_PORTS.get(str(cluster.get("Engine"))) if written is None else written


def clusters(resources: Resources) -> list[Cluster]:
    return [
        Cluster(
            subject=cluster.subject,
            encrypted=cluster.boolean("StorageEncrypted"),
            key_id=cluster.text("KmsKeyId"),
            retention_days=cluster.number("BackupRetentionPeriod"),
            backup_window=cluster.text("PreferredBackupWindow"),
            deletion_protection=cluster.boolean("DeletionProtection"),
            iam_authentication=cluster.boolean("EnableIAMDatabaseAuthentication"),
            port=_port(cluster),
            security_groups=cluster.texts("VpcSecurityGroupIds"),
            subnets=_subnets(resources, cluster),
            # a global database is made from the cluster that leads, so that only those that follow name it
            follows=cluster.get("GlobalClusterIdentifier") is not None,
        )
        for cluster in resources.of("AWS::RDS::DBCluster")
    ]


def instances(resources: Resources) -> list[Instance]:
    return [
        Instance(
            subject=instance.subject,
            cluster_id=instance.text("DBClusterIdentifier"),
            public=instance.boolean("PubliclyAccessible"),
            promotion_tier=instance.number("PromotionTier"),
            zone=instance.text("AvailabilityZone"),
        )
        for instance in resources.of("AWS::RDS::DBInstance")
    ]


def _parameter(resources: Resources, cluster: Resource, parameter: str) -> Fact[str]:
    name = cluster.text("DBClusterParameterGroupName")
    if name is None or isinstance(name, Unknown):
        return name
    group = resources.by_id(name)
    if group is None:
        return Unknown(f"parameter group {name} is not in this assembly")
    parameters = group.get("Parameters")  # its keys hold dots, so they cannot be read as a path
    return parameters if parameters is None or isinstance(parameters, Unknown) else text(parameters.get(parameter))


def forced_tls(resources: Resources) -> list[ForcedTls]:
    return [
        ForcedTls(cluster=cluster.subject, force_ssl=_parameter(resources, cluster, "rds.force_ssl"), in_sync=None)
        for cluster in resources.of("AWS::RDS::DBCluster")
    ]


def query_logs(resources: Resources) -> list[QueryLog]:
    return [
        QueryLog(
            cluster=cluster.subject,
            statements=_parameter(resources, cluster, "log_statement"),
            min_duration=_parameter(resources, cluster, "log_min_duration_statement"),
            parameter_length=_parameter(resources, cluster, "log_parameter_max_length"),
            parameter_length_on_error=_parameter(resources, cluster, "log_parameter_max_length_on_error"),
        )
        for cluster in resources.of("AWS::RDS::DBCluster")
    ]
