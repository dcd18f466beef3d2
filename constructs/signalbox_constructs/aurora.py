"""The database: Aurora PostgreSQL that is encrypted, reachable by named security groups only, and hard to lose.

Logical ids, the cluster identifier and the database name are contracts: each is create-only in CloudFormation, so a
change of any of them replaces the cluster.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import ISOLATED

PORT = 5432
DATABASE = "signalbox"

BACKUP_RETENTION = cdk.Duration.days(35)
"""The longest that Aurora keeps for point-in-time recovery, and the shortest that the backup control accepts."""

_PARAMETERS = {
    "rds.force_ssl": "1",
    "ssl_min_protocol_version": "TLSv1.2",
    "log_connections": "1",
    "log_disconnections": "1",
    "log_statement": "ddl",
    # Slow statements are logged by their text; values of parameters are the customer's and never are.
    "log_min_duration_statement": "1000",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True, kw_only=True)
class AuroraPostgresProps:
    vpc: ec2.IVpc
    writer_zone: str
    reader_zone: str
    key: kms.IKey
    log_key: kms.IKey
    identifier: str
    engine_version: str
    """Major and minor, such as "17.7"."""
    min_capacity: float
    max_capacity: float
    """Aurora capacity units of each instance."""


class AuroraPostgres(Construct):
    """One writer and one reader in different zones, in the isolated tier.

    Exposes `cluster`, `security_group`, `secret` (JSON with `username` and `password`, owned and rotated by RDS) and
    `host`. Nobody reaches it until `allow_from` says so.
    """

    def __init__(self, scope: Construct, construct_id: str, props: AuroraPostgresProps) -> None:
        super().__init__(scope, construct_id)
        self._key = props.key
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=props.vpc, description="Signalbox database"
        )
        # RDS would create this group itself, without our key and for ever, so it has to exist before the cluster.
        server_logs = encrypted_log_group(
            self, "ServerLogs", key=props.log_key, name=f"/aws/rds/cluster/{props.identifier}/postgresql"
        )
        engine = rds.DatabaseClusterEngine.aurora_postgres(
            version=rds.AuroraPostgresEngineVersion.of(props.engine_version, props.engine_version.split(".")[0])
        )
        self.cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=engine,
            engine_lifecycle_support=rds.EngineLifecycleSupport.OPEN_SOURCE_RDS_EXTENDED_SUPPORT_DISABLED,
            cluster_identifier=props.identifier,
            default_database_name=DATABASE,
            port=PORT,
            writer=self._instance("Writer", zone=props.writer_zone, key=props.key),
            readers=[self._instance("Reader", zone=props.reader_zone, key=props.key, follows_writer=True)],
            serverless_v2_min_capacity=props.min_capacity,
            serverless_v2_max_capacity=props.max_capacity,
            vpc=props.vpc,
            vpc_subnets=ISOLATED,
            security_groups=[self.security_group],
            storage_encryption_key=props.key,
            credentials=rds.Credentials.from_username("signalbox", encryption_key=props.key),
            manage_master_user_password=True,
            iam_authentication=True,
            parameter_group=rds.ParameterGroup(
                self, "Parameters", engine=engine, description="Signalbox database", parameters=_PARAMETERS
            ),
            backup=rds.BackupProps(retention=BACKUP_RETENTION, preferred_window="03:00-04:00"),
            preferred_maintenance_window="sun:04:30-sun:05:30",
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
        )
        self.cluster.node.add_dependency(server_logs)
        self.host = self.cluster.cluster_endpoint.hostname
        self.secret = self._managed_secret()
        accept(
            self.cluster,
            "CloudFormation-Validate::W3010",
            reason="The zones are a setting, so that writer and reader provably differ in theirs.",
        )

    def allow_from(self, peer: ec2.IConnectable, description: str) -> None:
        """Let `peer` connect on the database port: the one rule that opens this database to anybody."""
        peer.connections.allow_to(self.security_group, ec2.Port.tcp(PORT), description)

    def grant_secret(self, reader: iam.IGrantable) -> None:
        """Let `reader` read the master user's secret.

        Its key is granted on the reader's side. The L2 secret of the cluster would write each reader into the key's
        policy, and make this stack depend on the stacks that depend on it.
        """
        self.secret.grant_read(reader)
        region = cdk.Stack.of(self).region
        reader.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[self._key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}},
            )
        )

    def _managed_secret(self) -> secretsmanager.ISecret:
        managed = self.cluster.secret
        if managed is None:
            raise RuntimeError("the cluster has no secret, wanted the one that RDS manages")
        return secretsmanager.Secret.from_secret_complete_arn(self, "Secret", managed.secret_arn)

    @staticmethod
    def _instance(
        construct_id: str,
        *,
        zone: str,
        key: kms.IKey,
        follows_writer: bool | None = None,
    ) -> rds.IClusterInstance:
        """Describe an instance in `zone`; a reader that scales with the writer can take over at once (tier 1)."""
        return rds.ClusterInstance.serverless_v2(
            construct_id,
            scale_with_writer=follows_writer,
            availability_zone=zone,
            publicly_accessible=False,
            auto_minor_version_upgrade=True,
            ca_certificate=rds.CaCertificate.RDS_CA_RSA2048_G1,
            enable_performance_insights=True,
            performance_insight_encryption_key=key,
        )
