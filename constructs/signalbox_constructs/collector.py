"""The collector of evidence: a task that starts on a schedule, looks at the account, and leaves a report.

It may read what a list names, add objects to one bucket, and sign with one key. It has no way to the database, and
nobody connects to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.containers import Image, Part, add_container
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept, accept_of_frameworks, objects_of
from signalbox_constructs.firewall import ClosedSecurityGroup

CONTAINER = "collector"

_ECS_TASKS = "ecs-tasks.amazonaws.com"
_INLINE = "The policy names what this one role needs; it comes and goes with the role, which nobody else takes."


@dataclass(frozen=True, kw_only=True)
class CollectorProps:
    command: Sequence[str]
    image: Image
    schedule: str
    """cron(...) or rate(...), as EventBridge Scheduler takes it, in UTC."""
    cluster: ecs.ICluster
    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    public_address: bool
    """True in subnets whose way out needs an address of the task's own. Nothing may connect to it all the same."""
    reads: Mapping[str, Sequence[str]]
    """IAM actions by the resource on which they are allowed: everything that it may look at."""
    bucket: s3.IBucket
    prefix: str
    """Where it may add objects: PREFIX/*."""
    key: kms.IKey
    """Under which the bucket encrypts."""
    signing_key: kms.IKey
    log_key: kms.IKey


class Collector(Construct):
    """A Fargate task on a schedule.

    Exposes `task_definition`, `schedule`, `role`, `execution_role`, `security_group` and `logs`.
    """

    def __init__(self, scope: Construct, construct_id: str, props: CollectorProps) -> None:
        super().__init__(scope, construct_id)
        self.logs = encrypted_log_group(self, "Logs", key=props.log_key)
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=props.vpc, description="Signalbox evidence collector"
        )
        self.security_group.connections.allow_to_any_ipv4(ec2.Port.HTTPS, "AWS's own endpoints")
        self.role = self._role(props)
        self.execution_role = principals.service_role(self, "ExecutionRole", assumed_by=_ECS_TASKS, source="ecs")
        ecr.Repository.from_repository_arn(self, "Repository", props.image.repository_arn).grant_pull(
            self.execution_role
        )
        self.task_definition = self._task(props)
        self.schedule = self._schedule(props)

    def _role(self, props: CollectorProps) -> iam.IRole:
        role = principals.service_role(self, "Role", assumed_by=_ECS_TASKS, source="ecs")
        stack = cdk.Stack.of(self)
        looks = [
            iam.PolicyStatement(actions=list(actions), resources=[resource])
            for resource, actions in props.reads.items()
        ]
        adds = [
            iam.PolicyStatement(
                sid="Add", actions=["s3:PutObject"], resources=[props.bucket.arn_for_objects(f"{props.prefix}/*")]
            ),
            iam.PolicyStatement(
                sid="Encrypt",
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=[props.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"s3.{stack.region}.amazonaws.com"}},
            ),
            iam.PolicyStatement(sid="Sign", actions=["kms:Sign"], resources=[props.signing_key.key_arn]),
        ]
        # attached from its own side, so that the policy of the signing key may name the role
        policy = iam.ManagedPolicy(self, "Reads", statements=[*looks, *adds], roles=[role])
        accept(
            policy,
            objects_of(props.bucket, f"{props.prefix}/"),
            reason="Each report has a name of its own below the prefix; adding is all that is allowed there.",
        )
        for resource in props.reads:
            if "*" in resource:
                accept(
                    policy,
                    f"AwsSolutions::AwsSolutions-IAM5[Resource::{resource}]",
                    reason="Read-only, by single actions. The whole population has to be seen, also what was added by "
                    "hand and what only deployment names.",
                )
        return role

    def _task(self, props: CollectorProps) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=256,
            memory_limit_mib=512,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
            task_role=self.role,
            execution_role=self.execution_role,
            volumes=[ecs.Volume(name="tmp")],
        )
        add_container(
            task,
            props.image,
            self.logs,
            Part(name=CONTAINER, command=props.command, environment={}, secrets={}),
        )
        accept(
            self.execution_role,
            "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="ecr:GetAuthorizationToken knows no resource. All other statements name the repository and the log "
            "group.",
        )
        accept_of_frameworks(self.execution_role, "IAMNoInlinePolicy", reason=_INLINE)
        return task

    def _schedule(self, props: CollectorProps) -> scheduler.CfnSchedule:
        starter = principals.service_role(self, "Starter", assumed_by="scheduler.amazonaws.com", source="scheduler")
        self.task_definition.grant_run(starter)
        accept_of_frameworks(starter, "IAMNoInlinePolicy", reason=_INLINE)
        target = scheduler.CfnSchedule.EcsParametersProperty(
            task_definition_arn=self.task_definition.task_definition_arn,
            launch_type="FARGATE",
            network_configuration=scheduler.CfnSchedule.NetworkConfigurationProperty(
                awsvpc_configuration=scheduler.CfnSchedule.AwsVpcConfigurationProperty(
                    subnets=props.vpc.select_subnets(subnet_group_name=props.subnets.subnet_group_name).subnet_ids,
                    security_groups=[self.security_group.security_group_id],
                    assign_public_ip="ENABLED" if props.public_address else "DISABLED",
                )
            ),
        )
        return scheduler.CfnSchedule(
            self,
            "Schedule",
            description="Collects evidence of the deployment",
            schedule_expression=props.schedule,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=props.cluster.cluster_arn,
                role_arn=starter.role_arn,
                ecs_parameters=target,
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=3600, maximum_retry_attempts=5
                ),
            ),
        )
