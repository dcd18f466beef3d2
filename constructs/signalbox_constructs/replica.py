"""A global database: the primary's cluster becomes a member as it is, and a cluster elsewhere follows it.

Neither step replaces a cluster. The global cluster is made from the existing one, and never deletes it.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from signalbox_constructs import postgres
from signalbox_constructs.aurora import AuroraPostgres, Provisioned, Serverless
from signalbox_constructs.findings import accept, accept_of_frameworks


def make_global(
    scope: Construct, construct_id: str, *, identifier: str, primary: AuroraPostgres
) -> rds.CfnGlobalCluster:
    """Make a global database named `identifier` of `primary`, which has to be declared as a global member."""
    made = rds.CfnGlobalCluster(
        scope,
        construct_id,
        global_cluster_identifier=identifier,
        source_db_cluster_identifier=primary.cluster.cluster_arn,
        deletion_protection=True,
    )
    made.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
    return made


@dataclass(frozen=True, kw_only=True)
class AuroraReplicaProps:
    global_cluster: str
    """Its identifier; it has to have a primary already."""
    identifier: str
    zone: str
    key: kms.IKey
    """Of the replica's region: a key does not leave its own."""
    engine_version: str
    capacity: Serverless | Provisioned
    backup_retention: cdk.Duration
    subnet_group_name: str
    security_group: ec2.ISecurityGroup
    parameter_group_name: str


class AuroraReplica(Construct):
    """A cluster with one instance that follows the primary of a global database, and can be promoted.

    User, password and database are the primary's. Exposes `cluster` and `instance`; nobody may connect until the
    security group says so.
    """

    def __init__(self, scope: Construct, construct_id: str, props: AuroraReplicaProps) -> None:
        super().__init__(scope, construct_id)
        serverless = props.capacity if isinstance(props.capacity, Serverless) else None
        self.cluster = rds.CfnDBCluster(  # the L2 takes no global cluster, and wants credentials of its own
            self,
            "Cluster",
            global_cluster_identifier=props.global_cluster,
            db_cluster_identifier=props.identifier,
            engine="aurora-postgresql",
            engine_version=props.engine_version,
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            db_subnet_group_name=props.subnet_group_name,
            vpc_security_group_ids=[props.security_group.security_group_id],
            db_cluster_parameter_group_name=props.parameter_group_name,
            port=postgres.PORT,
            storage_encrypted=True,
            kms_key_id=props.key.key_arn,
            enable_iam_database_authentication=True,
            backup_retention_period=int(props.backup_retention.to_days()),
            preferred_backup_window=postgres.BACKUP_WINDOW,
            preferred_maintenance_window=postgres.MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            enable_cloudwatch_logs_exports=[postgres.EXPORT],
            deletion_protection=True,
            serverless_v2_scaling_configuration=rds.CfnDBCluster.ServerlessV2ScalingConfigurationProperty(
                min_capacity=serverless.min_capacity, max_capacity=serverless.max_capacity
            )
            if serverless
            else None,
        )
        self.cluster.apply_removal_policy(cdk.RemovalPolicy.RETAIN)
        self.instance = self._make_instance(props)

    def _make_instance(self, props: AuroraReplicaProps) -> rds.CfnDBInstance:
        kind = props.capacity.instance_class if isinstance(props.capacity, Provisioned) else "serverless"
        instance = rds.CfnDBInstance(
            self,
            "Instance",
            db_instance_identifier=f"{props.identifier}-1",
            db_cluster_identifier=self.cluster.ref,
            db_instance_class=f"db.{kind}",
            engine="aurora-postgresql",
            availability_zone=props.zone,
            publicly_accessible=False,
            auto_minor_version_upgrade=True,
            ca_certificate_identifier=rds.CaCertificate.RDS_CA_RSA2048_G1.to_string(),
            enable_performance_insights=True,
            performance_insights_kms_key_id=props.key.key_arn,
            monitoring_interval=int(postgres.MONITORING_INTERVAL.to_seconds()),
            monitoring_role_arn=postgres.monitoring_role(self, "Monitor").role_arn,
            promotion_tier=0,
        )
        accept(instance, "CloudFormation-Validate::W3010", reason="The zone is a setting: nothing is looked up.")
        accept_of_frameworks(
            instance,
            "RDSInBackupPlan",
            reason="The primary's backups are copied into this region's vault; the replica holds the same data.",
        )
        return instance
