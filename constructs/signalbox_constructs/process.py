"""One process of the control plane as a Fargate task: what it runs, as whom, and whom it may talk to.

Each process has a security group, a task role and an execution role of its own, so that a right given to one is not
given to the others. Its container is the image by digest, without root, capabilities or a writable file system
except /tmp.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.aurora import DATABASE, PORT, AuroraPostgres
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import PRIVATE, ThreeTierNetwork

CONTAINER = "signalbox"
HTTPS_PORT = 8443
USER = "10001:10001"

_ECS_TASKS = "ecs-tasks.amazonaws.com"

CA_BUNDLE = "/etc/ssl/certs/rds-global-bundle.pem"
"""Where the image holds the certificate authorities of RDS (service/Dockerfile)."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of ECR by digest: a tag could come to mean another one between review and deployment."""

    repository_arn: str
    reference: str
    """REPOSITORY@sha256:HEX, as ECS takes it."""


@dataclass(frozen=True, kw_only=True)
class ProcessProps:
    command: Sequence[str]
    image: Image
    cpu: int
    memory: int
    """MiB."""
    network: ThreeTierNetwork
    s3_prefix_list_id: str
    database: AuroraPostgres
    log_key: kms.IKey
    port: int | None = None
    """Served with TLS; None for a process to which nobody connects."""


class Process(Construct):
    """A task definition with its identity and its ways out; `run_as_service` keeps copies of it running.

    Exposes `task_definition`, `security_group`, `task_role`, `execution_role` and `logs`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: ProcessProps) -> None:
        super().__init__(scope, construct_id)
        self._vpc = props.network.vpc
        self.logs = encrypted_log_group(self, "Logs", key=props.log_key)
        self.task_role = principals.service_role(self, "TaskRole", assumed_by=_ECS_TASKS, source="ecs")
        self.execution_role = principals.service_role(self, "ExecutionRole", assumed_by=_ECS_TASKS, source="ecs")
        repository = ecr.Repository.from_repository_arn(self, "Repository", props.image.repository_arn)
        repository.grant_pull(self.execution_role)
        props.database.grant_secret(self.execution_role)
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=props.network.vpc, description=f"Signalbox {construct_id.lower()}"
        )
        self._open_ways_out(props)
        self.task_definition = self._define_task(props)

    def run_as_service(
        self, cluster: ecs.ICluster, *, copies: int, grace: cdk.Duration | None = None
    ) -> ecs.FargateService:
        """Keep `copies` tasks running over the zones; a failed roll-out goes back by itself."""
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=self.task_definition,
            desired_count=copies,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            assign_public_ip=False,
            vpc_subnets=PRIVATE,
            security_groups=[self.security_group],
            enable_execute_command=False,
            health_check_grace_period=grace,
        )
        return self.service

    def command_to_run_once(self, cluster: ecs.ICluster) -> str:
        """Return the AWS CLI's command that runs one task to its end, with this process's rights and ways out."""
        stack = cdk.Stack.of(self)
        subnets = self._vpc.select_subnets(subnet_group_name=PRIVATE.subnet_group_name).subnet_ids
        return (
            f"aws ecs run-task --region {stack.region} --cluster {cluster.cluster_name} --launch-type FARGATE"
            f" --task-definition {self.task_definition.task_definition_arn}"
            f" --network-configuration 'awsvpcConfiguration={{subnets=[{','.join(subnets)}],"
            f"securityGroups=[{self.security_group.security_group_id}],assignPublicIp=DISABLED}}'"
        )

    def _open_ways_out(self, props: ProcessProps) -> None:
        """Allow the database, the private endpoints and the image layers in S3: nothing else, nowhere else."""
        props.database.allow_from(self.security_group, f"{self.node.id} to database")
        self.security_group.connections.allow_to(
            props.network.endpoint_security_group, ec2.Port.HTTPS, f"{self.node.id} to AWS endpoints"
        )
        self.security_group.connections.allow_to(
            ec2.Peer.prefix_list(props.s3_prefix_list_id), ec2.Port.HTTPS, "Image layers in S3"
        )

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
        self._add_container(task, props)
        accept(
            task,
            "AwsSolutions::AwsSolutions-ECS2",
            reason="The plain variables are names, ports and paths; both credentials come from Secrets Manager.",
        )
        accept(
            self.execution_role,
            "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="ecr:GetAuthorizationToken knows no resource. All other statements name the repository, the log "
            "group, the secret and its key.",
        )
        return task

    def _add_container(self, task: ecs.FargateTaskDefinition, props: ProcessProps) -> None:
        kernel = ecs.LinuxParameters(self, "Kernel", init_process_enabled=True)
        kernel.drop_capabilities(ecs.Capability.ALL)
        container = task.add_container(
            CONTAINER,
            container_name=CONTAINER,
            image=ecs.ContainerImage.from_registry(props.image.reference),
            command=list(props.command),
            port_mappings=[ecs.PortMapping(container_port=props.port)] if props.port else None,
            environment=self._environment(props),
            secrets={
                "PGUSER": ecs.Secret.from_secrets_manager(props.database.secret, "username"),
                "PGPASSWORD": ecs.Secret.from_secrets_manager(props.database.secret, "password"),
            },
            logging=ecs.LogDriver.aws_logs(stream_prefix=CONTAINER, log_group=self.logs),
            user=USER,
            privileged=False,
            readonly_root_filesystem=True,
            linux_parameters=kernel,
            stop_timeout=cdk.Duration.seconds(60),
        )
        scratch = ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False)  # noqa: S108 - the task's own
        container.add_mount_points(scratch)
        accept(
            container,
            "Annotation::@aws-cdk/aws-ecs:ecrImageRequiresPolicy",
            reason="The execution role is granted this one repository; a plain reference keeps the image a constant of "
            "the template that a reviewer can read.",
        )

    def _environment(self, props: ProcessProps) -> dict[str, str]:
        database = {
            "PGHOST": props.database.host,
            "PGPORT": str(PORT),
            "PGDATABASE": DATABASE,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": CA_BUNDLE,
        }
        listener = {"SIGNALBOX_LISTEN": f"0.0.0.0:{props.port}", "SIGNALBOX_TLS": "self-signed"}
        return database | listener if props.port else database
