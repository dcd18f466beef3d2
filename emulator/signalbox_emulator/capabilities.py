"""What this emulator cannot show, by name.

The evidence reads this list and says `not verifiable here` for what stands in it. A test asks moto about every entry,
so an entry that a newer moto makes untrue fails there.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "invented", "patched"]
"""lost: moto takes it and does not answer it. invented: moto answers what nobody set or did. patched: our change."""


@dataclass(frozen=True, kw_only=True)
class Capability:
    """One attribute that a service's API answers in AWS, named as boto3 does: Resource.member."""

    service: str
    attribute: str
    kind: Kind
    reason: str
    property: str = ""
    """The CloudFormation path that sets it, "" when none does; the engine lets it be lost."""


CAPABILITIES = (
    Capability(
        service="ec2",
        attribute="SecurityGroupRule.Description",
        kind="lost",
        property="AWS::EC2::SecurityGroupEgress.Description",
        reason="moto keeps no description of a rule whose peer is a prefix list",
    ),
    Capability(
        service="ec2",
        attribute="SecurityGroup.IpPermissions",
        kind="lost",
        reason="a VPC's default group has no rule in moto, and in AWS one that lets its members reach each other",
    ),
    Capability(
        service="ecs",
        attribute="Service.deploymentConfiguration",
        kind="lost",
        property="AWS::ECS::Service.DeploymentConfiguration",
        reason="moto keeps no deployment configuration, so neither the circuit breaker nor the healthy percentages",
    ),
    Capability(
        service="ecs",
        attribute="Service.availabilityZoneRebalancing",
        kind="lost",
        property="AWS::ECS::Service.AvailabilityZoneRebalancing",
        reason="moto keeps no setting for the rebalancing of zones",
    ),
    Capability(
        service="ecs",
        attribute="Service.enableECSManagedTags",
        kind="lost",
        property="AWS::ECS::Service.EnableECSManagedTags",
        reason="moto does not answer the flag",
    ),
    Capability(
        service="ecs",
        attribute="Service.enableExecuteCommand",
        kind="lost",
        property="AWS::ECS::Service.EnableExecuteCommand",
        reason="moto does not answer the flag",
    ),
    Capability(
        service="ecs",
        attribute="Service.healthCheckGracePeriodSeconds",
        kind="lost",
        property="AWS::ECS::Service.HealthCheckGracePeriodSeconds",
        reason="moto does not keep the period",
    ),
    Capability(
        service="kms",
        attribute="KeyRotationStatus.RotationPeriodInDays",
        kind="lost",
        property="AWS::KMS::Key.RotationPeriodInDays",
        reason="moto keeps that a key rotates, and not how often",
    ),
    Capability(
        service="rds",
        attribute="DBCluster.EngineLifecycleSupport",
        kind="lost",
        property="AWS::RDS::DBCluster.EngineLifecycleSupport",
        reason="moto does not keep the setting",
    ),
    Capability(
        service="rds",
        attribute="DBInstance.PerformanceInsightsEnabled",
        kind="lost",
        property="AWS::RDS::DBInstance.EnablePerformanceInsights",
        reason="moto does not keep that Performance Insights is on",
    ),
    Capability(
        service="rds",
        attribute="DBInstance.PerformanceInsightsKMSKeyId",
        kind="lost",
        property="AWS::RDS::DBInstance.PerformanceInsightsKMSKeyId",
        reason="moto does not keep the key of Performance Insights",
    ),
    Capability(
        service="rds",
        attribute="DBInstance.PerformanceInsightsRetentionPeriod",
        kind="lost",
        property="AWS::RDS::DBInstance.PerformanceInsightsRetentionPeriod",
        reason="moto does not keep the retention of Performance Insights",
    ),
    Capability(
        service="rds",
        attribute="DBInstance.AvailabilityZone",
        kind="invented",
        reason="moto puts every instance that names no zone into the first zone of the region; a named zone is kept",
    ),
    Capability(
        service="rds",
        attribute="DBCluster.LatestRestorableTime",
        kind="invented",
        reason="moto answers the time of the question; it makes no backups",
    ),
    Capability(
        service="rds",
        attribute="DBCluster.DBClusterParameterGroupStatus",
        kind="invented",
        reason="moto says in-sync of every member; a change of parameters never waits for a restart",
    ),
    Capability(
        service="ecs",
        attribute="Service.runningCount",
        kind="invented",
        reason="no task runs, and moto starts none for a service",
    ),
    Capability(
        service="acm",
        attribute="Certificate.Status",
        kind="invented",
        reason="moto issues a certificate after a minute, whether or not its domain was validated",
    ),
    Capability(
        service="s3",
        attribute="BucketPolicy.Condition",
        kind="patched",
        reason="moto lets a denial with a condition deny everything; here such statements are kept and do nothing",
    ),
)


def excuses(type_name: str, path: str) -> bool:
    """Return whether the list says that moto loses `path`, such as DeploymentConfiguration.Alarms, of a type."""
    full = f"{type_name}.{path}"
    return any(
        entry.kind == "lost" and entry.property and (full == entry.property or full.startswith(f"{entry.property}."))
        for entry in CAPABILITIES
    )
