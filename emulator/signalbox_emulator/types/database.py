"""RDS: Aurora clusters, their instances, and the groups that they need."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, Call, Kind, Read, TagCalls, Target

JsonObject = dict[str, Any]


def _tags(arn: str) -> TagCalls:
    """Return the tag calls of a resource whose ARN ends as `arn` says ({} is the physical id)."""

    def name(target: Target) -> str:
        return f"arn:aws:rds:{target.region}:{target.account}:{arn.format(target.id)}"

    return TagCalls(
        add=lambda target, tags: target.client("rds").add_tags_to_resource(ResourceName=name(target), Tags=tags),
        remove=lambda target, tags: target.client("rds").remove_tags_from_resource(
            ResourceName=name(target), TagKeys=[tag["Key"] for tag in tags]
        ),
    )


def _list_tags(arn: str) -> Any:
    def read(target: Target) -> Any:
        resource = f"arn:aws:rds:{target.region}:{target.account}:{arn.format(target.id)}"
        return target.client("rds").list_tags_for_resource(ResourceName=resource)["TagList"]

    return read


def _create_cluster(target: Target) -> str:
    """Send the nested MasterUserSecret under the flat name that the API gives it."""
    names = {"PerformanceInsightsEnabled": "EnablePerformanceInsights"}
    sent = {names.get(name, name): value for name, value in target.properties.items() if name != "StorageType"}
    secret = dict(sent.pop("MasterUserSecret", {}))
    if "KmsKeyId" in secret:
        sent["MasterUserSecretKmsKeyId"] = secret.pop("KmsKeyId")
    if secret:
        raise ValueError(f"AWS::RDS::DBCluster.MasterUserSecret.{', '.join(secret)} has no home, wanted KmsKeyId")
    return target.send("rds", "create_db_cluster", sent)["DBCluster"]["DBClusterIdentifier"]


def _delete_cluster(target: Target, policy: str) -> None:
    last = {"FinalDBSnapshotIdentifier": f"{target.id}-final"} if policy == "Snapshot" else {"SkipFinalSnapshot": True}
    target.client("rds").delete_db_cluster(DBClusterIdentifier=target.id, **last)


def _set_parameters(target: Target, value: JsonObject) -> None:
    gone = target.former.get("Parameters", {}).keys() - value.keys()
    if gone:
        target.client("rds").reset_db_cluster_parameter_group(
            DBClusterParameterGroupName=target.id,
            Parameters=[{"ParameterName": name, "ApplyMethod": "pending-reboot"} for name in sorted(gone)],
        )
    changes = [
        {"ParameterName": name, "ParameterValue": str(setting), "ApplyMethod": "pending-reboot"}
        for name, setting in value.items()
    ]
    target.client("rds").modify_db_cluster_parameter_group(DBClusterParameterGroupName=target.id, Parameters=changes)


def _read_parameters(target: Target) -> JsonObject:
    pages = target.client("rds").get_paginator("describe_db_cluster_parameters")
    answers = pages.paginate(DBClusterParameterGroupName=target.id)
    return {p["ParameterName"]: p.get("ParameterValue") for answer in answers for p in answer["Parameters"]}


KINDS = (
    Kind(
        type="AWS::RDS::DBSubnetGroup",
        service="rds",
        create="create_db_subnet_group",
        ref="DBSubnetGroup.DBSubnetGroupName",
        name="DBSubnetGroupName",
        name_length=255,
        lower_case=True,
        read=Read("describe_db_subnet_groups", {"DBSubnetGroupName": ID}, "DBSubnetGroups[0]"),
        reads={"SubnetIds": "Subnets[].SubnetIdentifier", "Tags": _list_tags("subgrp:{}")},
        delete=Call("delete_db_subnet_group", {"DBSubnetGroupName": ID}),
        modify=Call("modify_db_subnet_group", {"DBSubnetGroupName": ID}),
        # The modify call wants the subnets each time.
        always=frozenset({"SubnetIds"}),
        replace=frozenset({"DBSubnetGroupName"}),
        tags=_tags("subgrp:{}"),
    ),
    Kind(
        type="AWS::RDS::DBClusterParameterGroup",
        service="rds",
        create="create_db_cluster_parameter_group",
        ref="DBClusterParameterGroup.DBClusterParameterGroupName",
        rename={"Family": "DBParameterGroupFamily"},
        name="DBClusterParameterGroupName",
        name_length=255,
        lower_case=True,
        read=Read(
            "describe_db_cluster_parameter_groups", {"DBClusterParameterGroupName": ID}, "DBClusterParameterGroups[0]"
        ),
        reads={"Parameters": _read_parameters, "Tags": _list_tags("cluster-pg:{}")},
        delete=Call("delete_db_cluster_parameter_group", {"DBClusterParameterGroupName": ID}),
        after={"Parameters": _set_parameters},
        replace=frozenset({"DBClusterParameterGroupName", "Description", "Family"}),
        tags=_tags("cluster-pg:{}"),
    ),
    Kind(
        type="AWS::RDS::DBCluster",
        service="rds",
        create=_create_cluster,
        name="DBClusterIdentifier",
        lower_case=True,
        read=Read("describe_db_clusters", {"DBClusterIdentifier": ID}, "DBClusters[0]"),
        # moto's creation breaks on aurora-iopt1.
        after={"StorageType": unsent("rds", "modify_db_cluster", "StorageType")},
        reads={
            "DBClusterParameterGroupName": "DBClusterParameterGroup",
            "DBSubnetGroupName": "DBSubnetGroup",
            "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
            "PerformanceInsightsEnabled": "PerformanceInsightsEnabled",
            # RDS says that it manages the password by answering the secret.
            "ManageMasterUserPassword": "MasterUserSecret.SecretArn != null",
            "VpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
            "Tags": "TagList",
        },
        delete=_delete_cluster,
        change={
            "EnableCloudwatchLogsExports": lambda target, value: target.client("rds").modify_db_cluster(
                DBClusterIdentifier=target.id,
                CloudwatchLogsExportConfiguration={
                    "EnableLogTypes": value,
                    "DisableLogTypes": sorted(set(target.former.get("EnableCloudwatchLogsExports", [])) - set(value)),
                },
            )
        },
        rename={"PerformanceInsightsEnabled": "EnablePerformanceInsights"},
        modify=Call("modify_db_cluster", {"DBClusterIdentifier": ID, "ApplyImmediately": True}),
        replace=frozenset(
            {"DBClusterIdentifier", "DatabaseName", "DBSubnetGroupName", "Engine", "EngineMode", "KmsKeyId"}
            | {"MasterUsername", "StorageEncrypted"}
        ),
        attributes={
            "DBClusterArn": "DBClusterArn",
            "DBClusterResourceId": "DbClusterResourceId",
            "Endpoint.Address": "Endpoint",
            "Endpoint.Port": "Port",
            "ReadEndpoint.Address": "ReaderEndpoint",
            "MasterUserSecret.SecretArn": "MasterUserSecret.SecretArn",
        },
        tags=_tags("cluster:{}"),
    ),
    Kind(
        type="AWS::RDS::DBInstance",
        service="rds",
        create="create_db_instance",
        ref="DBInstance.DBInstanceIdentifier",
        name="DBInstanceIdentifier",
        lower_case=True,
        read=Read("describe_db_instances", {"DBInstanceIdentifier": ID}, "DBInstances[0]"),
        reads={
            "EnablePerformanceInsights": "PerformanceInsightsEnabled",
            "VPCSecurityGroups": "VpcSecurityGroups[].VpcSecurityGroupId",
            "Tags": "TagList",
        },
        rename={"VPCSecurityGroups": "VpcSecurityGroupIds"},
        delete=Call("delete_db_instance", {"DBInstanceIdentifier": ID, "SkipFinalSnapshot": True}),
        modify=Call("modify_db_instance", {"DBInstanceIdentifier": ID, "ApplyImmediately": True}),
        replace=frozenset(
            {
                "DBInstanceIdentifier",
                "DBClusterIdentifier",
                "Engine",
                "AvailabilityZone",
                "StorageEncrypted",
                "KmsKeyId",
            }
        ),
        attributes={
            "DBInstanceArn": "DBInstanceArn",
            "DbiResourceId": "DbiResourceId",
            "Endpoint.Address": "Endpoint.Address",
            "Endpoint.Port": "Endpoint.Port",
        },
        tags=_tags("db:{}"),
    ),
)
