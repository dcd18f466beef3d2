"""One process of the control plane as a Fargate service: what it runs, as whom, and whom it may talk to.

Each process has a security group, a task role and an execution role of its own, so that a right given to one is not
given to the others. Before its container starts, another one in the same task brings the schema up to date; that one
alone gets the database's master password, the process logs in with IAM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.aurora import DATABASE, PORT, AuroraPostgres
from signalbox_constructs.containers import Image, Part, add_container
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import PRIVATE, PUBLIC, ThreeTierNetwork

HTTPS_PORT = 8443
APP_USER = "signalbox_app"
"""The database user of the processes: it reads and writes rows, and changes no table."""

CA_BUNDLE = "/etc/ssl/certs/rds-global-bundle.pem"
"""Where the image holds the certificate authorities of RDS (service/Dockerfile)."""

_ECS_TASKS = "ecs-tasks.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class ProcessProps:
    command: Sequence[str]
    health: Sequence[str]
    """The command that exits with 0 while the process is well."""
    image: Image
    cpu: int
    memory: int
    """MiB."""
    network: ThreeTierNetwork
    public: bool
    """In the public tier, with addresses of their own (inbound they stay closed), instead of in the private tier."""
    database: AuroraPostgres
    log_key: kms.IKey
    port: int | None = None
    """Served with TLS; None for a process to which nobody connects."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, secretsmanager.ISecret] = field(default_factory=dict[str, secretsmanager.ISecret])
    """Variable to the secret whose whole value it gets."""


class Process(Construct):
    """A task definition with its identity and its ways out; `run_as_service` keeps copies of it running.

    Exposes `task_definition`, `security_group`, `task_role`, `execution_role` and `logs`; once it runs, `service`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ProcessProps) -> None:
        super().__init__(scope, construct_id)
        self._public = props.public
        self.logs = encrypted_log_group(self, "Logs", key=props.log_key)
        self.task_role = self._role("TaskRole")
        props.database.grant_login(self.task_role, APP_USER)
        self.execution_role = self._role("ExecutionRole")
        repository = ecr.Repository.from_repository_arn(self, "Repository", props.image.repository_arn)
        repository.grant_pull(self.execution_role)
        props.database.grant_secret(self.execution_role)
        accept(
            self.execution_role,
            "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="ecr:GetAuthorizationToken knows no resource. All other statements name the repository, the log "
            "group, the secrets and their key.",
        )
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=props.network.vpc, description=f"Signalbox {construct_id.lower()}"
        )
        self._open_ways_out(props)
        self.task_definition = self._define_task(props)

    def run_as_service(self, cluster: ecs.ICluster, *, grace: cdk.Duration | None = None) -> ecs.FargateService:
        """Keep tasks running over the zones; a failed roll-out goes back by itself.

        The template says no number: each update would put it back to that, whatever autoscaling has made of it.
        """
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=self.task_definition,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            assign_public_ip=self._public,
            vpc_subnets=PUBLIC if self._public else PRIVATE,
            security_groups=[self.security_group],
            enable_execute_command=False,
            health_check_grace_period=grace,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        # a task that starts before its rules and rights are there fails, and three of them undo the deployment
        self.service.node.add_dependency(self.execution_role, self.security_group)
        return self.service

    def _role(self, construct_id: str) -> iam.IRole:
        return principals.service_role(self, construct_id, assumed_by=_ECS_TASKS, source="ecs")

    def _open_ways_out(self, props: ProcessProps) -> None:
        """Allow the database and the way to AWS: nothing else, nowhere else."""
        props.database.allow_from(self.security_group, f"{self.node.id} to database")
        props.network.allow_calls_of(self.security_group, self.node.id)

    def _define_task(self, props: ProcessProps) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=props.cpu,
            memory_limit_mib=props.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            task_role=self.task_role,
            execution_role=self.execution_role,
            volumes=[ecs.Volume(name="tmp")],
        )
        database = self._database(props)
        password = props.database.secret_of(self)
        migrate = add_container(
            task,
            props.image,
            self.logs,
            Part(
                name="migrate",
                command=["signalbox", "migrate", "--app-role", APP_USER, "--wait-seconds", "60"],
                environment=database,
                secrets={
                    "PGUSER": ecs.Secret.from_secrets_manager(password, "username"),
                    "PGPASSWORD": ecs.Secret.from_secrets_manager(password, "password"),
                },
                essential=False,
            ),
        )
        process = add_container(
            task,
            props.image,
            self.logs,
            Part(
                name="signalbox",
                command=props.command,
                health=props.health,
                port=props.port,
                environment=database
                | {"PGUSER": APP_USER, "SIGNALBOX_DATABASE_LOGIN": "iam"}
                | self._listener(props)
                | dict(props.environment),
                secrets={
                    name: ecs.Secret.from_secrets_manager(secret) for name, secret in sorted(props.secrets.items())
                },
            ),
        )
        process.add_container_dependencies(
            ecs.ContainerDependency(container=migrate, condition=ecs.ContainerDependencyCondition.SUCCESS)
        )
        task.default_container = process
        accept(
            task,
            "AwsSolutions::AwsSolutions-ECS2",
            reason="The plain variables are names, ports and paths; all credentials come from Secrets Manager or IAM.",
        )
        return task

    def _database(self, props: ProcessProps) -> dict[str, str]:
        return {
            "AWS_REGION": cdk.Stack.of(self).region,
            "PGHOST": props.database.host,
            "PGPORT": str(PORT),
            "PGDATABASE": DATABASE,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": CA_BUNDLE,
        }

    @staticmethod
    def _listener(props: ProcessProps) -> dict[str, str]:
        if props.port is None:
            return {}
        return {"SIGNALBOX_LISTEN": f"0.0.0.0:{props.port}", "SIGNALBOX_TLS": "self-signed"}
