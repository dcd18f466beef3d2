"""The database: Aurora PostgreSQL that is encrypted, reachable by named security groups only, and hard to lose.

Logical ids, the identifiers of cluster and instances and the database name are contracts: each is create-only in
CloudFormation, so a change of any of them replaces what holds the data. The identifiers are also what makes a restored
cluster take the place of this one: it is renamed, and nothing here has to change (docs/runbooks/restore.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct, IConstruct

from signalbox_constructs import postgres
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept, accept_of_frameworks
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import ISOLATED
from signalbox_constructs.postgres import DATABASE, PORT

__all__ = ["DATABASE", "PORT", "AuroraPostgres", "AuroraPostgresProps", "Provisioned", "Serverless"]

_PAUSE_AFTER = cdk.Duration.minutes(5)
"""The shortest that Aurora offers, without any connection."""


@dataclass(frozen=True, kw_only=True)
class Serverless:
    """Aurora capacity units of each instance; with a minimum of 0 it pauses while nobody is connected."""

    min_capacity: float
    max_capacity: float


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    instance_class: str
    """Family and size, such as "r8g.large"."""


@dataclass(frozen=True, kw_only=True)
class AuroraPostgresProps:
    vpc: ec2.IVpc
    zones: Sequence[str]
    """Of the instances: the writer's, then one for each reader."""
    key: kms.IKey
    log_key: kms.IKey
    identifier: str
    """Of the cluster; its instances are called IDENTIFIER-1 and so on."""
    parameter_prefix: str
    """Of the SSM parameters that say where the database is: PREFIX/host, /port, /secret-arn, /resource-id."""
    engine_version: str
    """Major and minor, such as "17.7"."""
    capacity: Serverless | Provisioned
    backup_retention: cdk.Duration
    global_member: bool = False
    """Whether a global database replicates it. RDS does not manage the password of such a cluster."""


class AuroraPostgres(Construct):
    """A writer and its readers, each in a zone of its own, in the isolated tier.

    Exposes `cluster`, `security_group`, `secret` (JSON with `username` and `password`), `host` and `arn`. Nobody
    reaches it until `allow_from` says so. Other stacks take `secret_of` instead of `secret`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: AuroraPostgresProps) -> None:
        super().__init__(scope, construct_id)
        self._key = props.key
        self._prefix = props.parameter_prefix
        self.arn = cdk.Stack.of(self).format_arn(
            service="rds",
            resource="cluster",
            resource_name=props.identifier,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=props.vpc, description="Signalbox database"
        )
        # RDS would create this group itself, without our key and for ever, so it has to exist before the cluster.
        server_logs = encrypted_log_group(
            self, "ServerLogs", key=props.log_key, name=postgres.log_group_name(props.identifier)
        )
        password = self._own_password() if props.global_member else None
        self.cluster = self._make_cluster(props, password)
        self.cluster.node.add_dependency(server_logs)
        self.host = self.cluster.cluster_endpoint.hostname
        # by ARN, not as a construct that would write each reader into the key's policy
        arn = password.secret_arn if password else self._managed_secret_arn()
        self.secret = secretsmanager.Secret.from_secret_complete_arn(self, "Secret", arn)
        self._write_down()
        self._explain()

    def allow_from(self, peer: ec2.IConnectable, description: str) -> None:
        """Let `peer` connect on the database port: the one rule that opens this database to anybody."""
        peer.connections.allow_to(self.security_group, ec2.Port.tcp(PORT), description)

    def secret_of(self, consumer: Construct) -> secretsmanager.ISecret:
        """Return the master user's secret as the stack of `consumer` finds it in SSM when it is deployed; ask once.

        A restored cluster has another secret: its ARN is then put into the parameter, and the consumer deployed again.
        """
        arn = self._parameter(consumer, "secret-arn")
        return secretsmanager.Secret.from_secret_complete_arn(consumer, "DatabaseSecret", arn)

    def grant_secret(self, reader: iam.IRole) -> None:
        """Let `reader` read the master user's secret.

        Its key is granted on the reader's side. The L2 secret of the cluster would write each reader into the key's
        policy, and make this stack depend on the stacks that depend on it.
        """
        reader.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
                resources=[self._parameter(reader, "secret-arn")],
            )
        )
        region = cdk.Stack.of(self).region
        reader.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[self._key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}},
            )
        )

    def grant_login(self, role: iam.IRole, user: str) -> None:
        """Let `role` log in as the database's user `user` with a token of IAM, as long as that user has rds_iam.

        The cluster's resource id is found in SSM when the role's stack is deployed: a restored cluster has another.
        """
        stack = cdk.Stack.of(self)
        resource_id = self._parameter(role, "resource-id")
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["rds-db:connect"],
                resources=[f"arn:aws:rds-db:{stack.region}:{stack.account}:dbuser:{resource_id}/{user}"],
            )
        )

    def _parameter(self, consumer: IConstruct, name: str) -> str:
        stack = cdk.Stack.of(consumer)
        stack.add_stack_dependency(cdk.Stack.of(self))
        return ssm.StringParameter.value_for_string_parameter(stack, f"{self._prefix}/{name}")

    def _make_cluster(self, props: AuroraPostgresProps, password: secretsmanager.Secret | None) -> rds.DatabaseCluster:
        engine = postgres.engine(props.engine_version)
        members = [_instance(props, place) for place in range(len(props.zones))]
        serverless = props.capacity if isinstance(props.capacity, Serverless) else None
        return rds.DatabaseCluster(
            self,
            "Cluster",
            engine=engine,
            engine_lifecycle_support=rds.EngineLifecycleSupport.OPEN_SOURCE_RDS_EXTENDED_SUPPORT_DISABLED,
            cluster_identifier=props.identifier,
            default_database_name=DATABASE,
            port=PORT,
            writer=members[0],
            readers=members[1:],
            serverless_v2_min_capacity=serverless.min_capacity if serverless else None,
            serverless_v2_max_capacity=serverless.max_capacity if serverless else None,
            serverless_v2_auto_pause_duration=_PAUSE_AFTER if serverless and serverless.min_capacity == 0 else None,
            vpc=props.vpc,
            vpc_subnets=ISOLATED,
            security_groups=[self.security_group],
            storage_encryption_key=props.key,
            # the name as a literal: as a reference to the secret it would be another name to CloudFormation
            credentials=rds.Credentials.from_password(postgres.MASTER, password.secret_value_from_json("password"))
            if password
            else rds.Credentials.from_username(postgres.MASTER, encryption_key=props.key),
            manage_master_user_password=password is None,
            iam_authentication=True,
            parameter_group=postgres.parameters(self, "Parameters", engine),
            backup=rds.BackupProps(retention=props.backup_retention, preferred_window=postgres.BACKUP_WINDOW),
            preferred_maintenance_window=postgres.MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=[postgres.EXPORT],
            monitoring_interval=postgres.MONITORING_INTERVAL,
            monitoring_role=postgres.monitoring_role(self, "Monitor"),
            database_insights_mode=rds.DatabaseInsightsMode.STANDARD,
            performance_insight_encryption_key=props.key,
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
        )

    def _own_password(self) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "Password",
            description="Master user of the Signalbox database",
            encryption_key=self._key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=f'{{"username": "{postgres.MASTER}"}}',
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=40,
            ),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        why = "RDS does not manage passwords in a global database, and nothing logs in by this one: roles do, by IAM."
        accept(secret, "AwsSolutions::AwsSolutions-SMG4", reason=why)
        accept_of_frameworks(secret, "SecretsManagerRotationEnabled", reason=why)
        return secret

    def _managed_secret_arn(self) -> str:
        managed = self.cluster.secret
        if managed is None:
            raise RuntimeError("the cluster has no secret, wanted the one that RDS manages")
        return managed.secret_arn

    def _write_down(self) -> None:
        for construct_id, name, value in (
            ("HostParameter", "host", self.host),
            ("PortParameter", "port", str(PORT)),
            ("SecretParameter", "secret-arn", self.secret.secret_arn),
            ("ResourceParameter", "resource-id", self.cluster.cluster_resource_identifier),
        ):
            ssm.StringParameter(self, construct_id, parameter_name=f"{self._prefix}/{name}", string_value=value)

    def _explain(self) -> None:
        accept(
            self.cluster,
            "CloudFormation-Validate::W3010",
            reason="The zones are a setting, so that writer and readers provably differ in theirs.",
        )
        accept_of_frameworks(
            self.cluster,
            "RDSInBackupPlan",
            reason="The plan backs up the cluster, by its ARN; AWS Backup knows no backup of a single Aurora instance.",
        )


def _instance(props: AuroraPostgresProps, place: int) -> rds.IClusterInstance:
    """Describe the instance at `place`: 0 writes, 1 takes over first and is as large as the writer, 2 follows."""
    construct_id = ("Writer", "Reader", "SecondReader")[place]
    match props.capacity:
        case Serverless():
            describe = partial(
                rds.ClusterInstance.serverless_v2, construct_id, scale_with_writer=place == 1 if place else None
            )
        case Provisioned(instance_class=name):
            kind = ec2.InstanceType(name)
            describe = partial(
                rds.ClusterInstance.provisioned, construct_id, instance_type=kind, promotion_tier=place or None
            )
    return describe(
        instance_identifier=f"{props.identifier}-{place + 1}",
        availability_zone=props.zones[place],
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        ca_certificate=rds.CaCertificate.RDS_CA_RSA2048_G1,
        enable_performance_insights=True,
        performance_insight_encryption_key=props.key,
    )
