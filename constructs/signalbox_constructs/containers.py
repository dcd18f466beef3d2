"""A container of a task: an image by digest, without root, capabilities or a writable file system except /tmp."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs

from signalbox_constructs.findings import accept

USER = "10001:10001"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of ECR by digest: a tag could come to mean another one between review and deployment."""

    repository_arn: str
    reference: str
    """REPOSITORY@sha256:HEX, as ECS takes it."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one container of a task is told."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    secrets: Mapping[str, ecs.Secret]
    health: Sequence[str] | None = None
    """The command that exits with 0 while the container is well."""
    port: int | None = None
    essential: bool = True
    """Whether the task ends when the container does."""


def add_container(
    task: ecs.FargateTaskDefinition, image: Image, log_group: logs.ILogGroup, part: Part
) -> ecs.ContainerDefinition:
    """Add a container to `task`, which has a volume called `tmp`; it logs to a stream of its own name."""
    kernel = ecs.LinuxParameters(task, f"{part.name.capitalize()}Kernel", init_process_enabled=True)
    kernel.drop_capabilities(ecs.Capability.ALL)
    container = task.add_container(
        part.name,
        container_name=part.name,
        image=ecs.ContainerImage.from_registry(image.reference),
        command=list(part.command),
        essential=part.essential,
        health_check=_health_check(part.health) if part.health else None,
        port_mappings=[ecs.PortMapping(container_port=part.port)] if part.port else None,
        environment=dict(part.environment),
        secrets=dict(part.secrets),
        logging=ecs.LogDriver.aws_logs(stream_prefix=part.name, log_group=log_group),
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
    return container


def _health_check(command: Sequence[str]) -> ecs.HealthCheck:
    """Three failures in a row, half a minute apart, are an end; a smallest task needs a while for its first answer."""
    return ecs.HealthCheck(
        command=["CMD", *command],
        interval=cdk.Duration.seconds(30),
        timeout=cdk.Duration.seconds(10),
        retries=3,
        start_period=cdk.Duration.seconds(60),
    )
