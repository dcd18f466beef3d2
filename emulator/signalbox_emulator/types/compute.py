"""ECS: clusters, task definitions, services."""

from typing import Any

from signalbox_emulator.types.kind import ALL, ID, Call, Kind, Read, TagCalls, Target, prop


def _tags(arn: str) -> TagCalls:
    """Return the tag calls of a resource whose ARN the JMESPath-free template `arn` gives ({id} is the physical id)."""

    def name(target: Target) -> str:
        return arn.format(id=target.id, region=target.region, account=target.account)

    return TagCalls(
        add=lambda target, tags: target.client("ecs").tag_resource(
            resourceArn=name(target), tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in tags]
        ),
        remove=lambda target, tags: target.client("ecs").untag_resource(
            resourceArn=name(target), tagKeys=[tag["Key"] for tag in tags]
        ),
    )


def _list_tags(arn: str) -> Any:
    def read(target: Target) -> Any:
        name = arn.format(id=target.id, region=target.region, account=target.account)
        return target.client("ecs").list_tags_for_resource(resourceArn=name)["tags"]

    return read


_CLUSTER_ARN = "arn:aws:ecs:{region}:{account}:cluster/{id}"

KINDS = (
    Kind(
        type="AWS::ECS::Cluster",
        service="ecs",
        create="create_cluster",
        ref="cluster.clusterName",
        rename={"ClusterSettings": "settings"},
        name="ClusterName",
        name_length=255,
        read=Read("describe_clusters", {"clusters": [ID], "include": ["SETTINGS", "CONFIGURATIONS"]}, "clusters[0]"),
        reads={"Tags": _list_tags(_CLUSTER_ARN)},
        delete=Call("delete_cluster", {"cluster": ID}),
        modify=Call("update_cluster", {"cluster": ID}),
        replace=frozenset({"ClusterName"}),
        attributes={"Arn": "clusterArn"},
        tags=_tags(_CLUSTER_ARN),
    ),
    Kind(
        type="AWS::ECS::ClusterCapacityProviderAssociations",
        service="ecs",
        create="put_cluster_capacity_providers",
        ref="cluster.clusterName",
        read=Read("describe_clusters", {"clusters": [ID]}, "clusters[0]"),
        reads={"Cluster": "clusterName"},
        # The template names the cluster by name or by ARN.
        expects={"Cluster": lambda target: target.properties["Cluster"].split("/")[-1]},
        delete=Call(
            "put_cluster_capacity_providers",
            {"cluster": ID, "capacityProviders": [], "defaultCapacityProviderStrategy": []},
        ),
        modify=Call("put_cluster_capacity_providers"),
        whole=True,
        replace=frozenset({"Cluster"}),
    ),
    Kind(
        type="AWS::ECS::TaskDefinition",
        service="ecs",
        create="register_task_definition",
        ref="taskDefinition.taskDefinitionArn",
        name="Family",
        name_length=255,
        read=Read("describe_task_definition", {"taskDefinition": ID, "include": ["TAGS"]}, "taskDefinition"),
        reads={"Tags": _list_tags("{id}")},
        delete=Call("deregister_task_definition", {"taskDefinition": ID}),
        replace=ALL,
        attributes={"TaskDefinitionArn": "taskDefinitionArn"},
        tags=_tags("{id}"),
    ),
    Kind(
        type="AWS::ECS::Service",
        service="ecs",
        create="create_service",
        ref="service.serviceArn",
        name="ServiceName",
        name_length=255,
        read=Read("describe_services", {"cluster": prop("Cluster"), "services": [ID]}, "services[0]"),
        reads={"Cluster": "clusterArn", "Tags": _list_tags("{id}")},
        # The template names the cluster by name or by ARN; the API answers the ARN.
        expects={
            "Cluster": lambda target: (
                f"arn:aws:ecs:{target.region}:{target.account}:cluster/{target.properties['Cluster'].split('/')[-1]}"
            )
        },
        delete=Call("delete_service", {"cluster": prop("Cluster"), "service": ID, "force": True}),
        modify=Call("update_service", {"cluster": prop("Cluster"), "service": ID}),
        replace=frozenset({"Cluster", "LaunchType", "ServiceName", "SchedulingStrategy", "DeploymentController"}),
        attributes={"ServiceArn": "serviceArn", "Name": "serviceName"},
        tags=_tags("{id}"),
    ),
)
