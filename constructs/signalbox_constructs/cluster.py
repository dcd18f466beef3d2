"""The ECS cluster that tasks run in: watched by Container Insights, its tasks' disks under a key of ours, no shell."""

from typing import cast

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from constructs import Construct


def task_cluster(scope: Construct, construct_id: str, *, name: str, vpc: ec2.IVpc, key: kms.IKey) -> ecs.Cluster:
    """Return a cluster called `name`, whose tasks' ephemeral storage is encrypted under `key`.

    The name is fixed, because the key's policy admits Fargate for this cluster by its name
    (`encryption.grant_to_fargate`).
    """
    cluster = ecs.Cluster(
        scope,
        construct_id,
        cluster_name=name,
        vpc=vpc,
        container_insights_v2=ecs.ContainerInsights.ENABLED,
        execute_command_configuration=ecs.ExecuteCommandConfiguration(logging=ecs.ExecuteCommandLogging.NONE),
    )
    # L2 gap: `managed_storage_configuration` writes a reference to the cluster into the key's policy, so that the stack
    # of a key would depend on the stack that uses it. Remove when the L2 can leave the key alone.
    cast("ecs.CfnCluster", cluster.node.default_child).add_property_override(
        "Configuration.ManagedStorageConfiguration.FargateEphemeralStorageKmsKeyId", key.key_arn
    )
    return cluster
