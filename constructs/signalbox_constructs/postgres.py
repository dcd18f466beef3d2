"""What every PostgreSQL of Signalbox has in common, wherever it stands: engine, parameters, windows, monitoring."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.findings import accept

PORT = 5432
DATABASE = "signalbox"
MASTER = "signalbox"
EXPORT = "postgresql"
"""The log that goes to CloudWatch."""

BACKUP_WINDOW = "03:00-04:00"
MAINTENANCE_WINDOW = "sun:04:30-sun:05:30"
MONITORING_INTERVAL = cdk.Duration.minutes(1)

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


def engine(version: str) -> rds.IClusterEngine:
    """Return Aurora PostgreSQL of `version`, major and minor, such as "17.7"."""
    return rds.DatabaseClusterEngine.aurora_postgres(
        version=rds.AuroraPostgresEngineVersion.of(version, version.split(".", 1)[0])
    )


def parameters(
    scope: Construct, construct_id: str, engine: rds.IClusterEngine, *, name: str | None = None
) -> rds.ParameterGroup:
    """Return the parameters of a cluster: TLS is forced, statements are logged when slow or DDL, values never."""
    return rds.ParameterGroup(
        scope, construct_id, engine=engine, name=name, description="Signalbox database", parameters=_PARAMETERS
    )


def log_group_name(cluster: str) -> str:
    """Return where RDS puts the exported log of the cluster with that identifier."""
    return f"/aws/rds/cluster/{cluster}/{EXPORT}"


def monitoring_role(scope: Construct, construct_id: str) -> iam.IRole:
    """Return the role by which RDS writes its metrics of the operating system, to its own log group RDSOSMetrics."""
    role = principals.service_role(scope, construct_id, assumed_by="monitoring.rds.amazonaws.com", source="rds")
    stack = cdk.Stack.of(scope)
    group = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:RDSOSMetrics"
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["logs:CreateLogGroup", "logs:PutRetentionPolicy"], resources=[group])
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"],
            resources=[f"{group}:log-stream:*"],
        )
    )
    accept(
        role,
        f"AwsSolutions::AwsSolutions-IAM5[Resource::{group}:log-stream:*]",
        reason="RDS writes a stream for each instance, named by an id that it makes itself, into this one log group.",
    )
    return role
