"""Whether moto lacks what the capability list says, asked of it directly: a probe for each of these entries."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import moto.backup.models
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

Probe = Callable[[Any], bool]
"""Returns whether moto lacks the attribute."""

_ROLE = "arn:aws:iam::000000000000:role/r"
_KEY = "arn:aws:kms:us-east-1:000000000000:key/k"


def _refuses(service: str, operation: str, **arguments: Any) -> Probe:
    """Return the probe that moto has no such call."""

    def probe(account: Any) -> bool:
        with pytest.raises((ClientError, BotoCoreError), match=r"[Nn]ot.*implemented|404|500|501|Not Found|not found"):
            getattr(account.client(service), operation)(**arguments)
        return True

    return probe


def _all(*probes: Probe) -> Probe:
    return lambda account: all(probe(account) for probe in probes)


def _cluster(account: Any, **settings: Any) -> Any:
    rds, name = account.client("rds"), f"c{uuid4().hex[:12]}"
    rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="u",
        MasterUserPassword="12345678",
        **settings,
    )
    return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def _cluster_loses(sent: str, value: Any, member: str = "") -> Probe:
    return lambda account: _cluster(account, **{sent: value}).get(member or sent) != value


def _optimised_storage_breaks(account: Any) -> bool:
    with pytest.raises(ResponseParserError, match="Internal Server Error"):
        _cluster(account, StorageType="aurora-iopt1")
    return True


def _instance_has_no_insights_mode(account: Any) -> bool:
    rds, name = account.client("rds"), f"i{uuid4().hex[:12]}"
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBClusterIdentifier=_cluster(account)["DBClusterIdentifier"],
        DBInstanceClass="db.serverless",
        Engine="aurora-postgresql",
        DatabaseInsightsMode="standard",
    )
    found = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return found.get("DatabaseInsightsMode") != "standard"


def _project(account: Any, **source: str) -> Any:
    codebuild, name = account.client("codebuild"), f"p{uuid4().hex}"
    codebuild.create_project(
        name=name,
        source={"type": "NO_SOURCE", "buildspec": "{}", **source},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "ARM_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=_ROLE,
        encryptionKey=_KEY,
        concurrentBuildLimit=2,
    )
    return codebuild.batch_get_projects(names=[name])["projects"][0]


def _no_source_wants_a_location(account: Any) -> bool:
    with pytest.raises(ClientError, match="location is required"):
        _project(account)
    return True


def _a_change_loses(member: str, **settings: Any) -> Probe:
    def probe(account: Any) -> bool:
        cognito = account.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="p", **settings)["UserPool"]["Id"]
        assert cognito.describe_user_pool(UserPoolId=pool)["UserPool"][member] == settings[member]
        cognito.update_user_pool(UserPoolId=pool, MfaConfiguration="OFF")
        return member not in cognito.describe_user_pool(UserPoolId=pool)["UserPool"]

    return probe


def _a_service_has_no_strategy(account: Any) -> bool:
    ecs, name = account.client("ecs"), uuid4().hex
    ecs.create_cluster(clusterName=name)
    containers = [{"name": "c", "image": "i", "memory": 128}]
    task = ecs.register_task_definition(family=name, containerDefinitions=containers)["taskDefinition"]
    strategy = [{"capacityProvider": "FARGATE", "weight": 1, "base": 0}]
    ecs.create_service(
        cluster=name,
        serviceName="s",
        taskDefinition=task["taskDefinitionArn"],
        desiredCount=1,
        capacityProviderStrategy=strategy,
    )
    return (
        ecs.describe_services(cluster=name, services=["s"])["services"][0].get("capacityProviderStrategy") != strategy
    )


def _group_loses(member: str, value: Any) -> Probe:
    def probe(account: Any) -> bool:
        logs, name = account.client("logs"), f"/{uuid4().hex}"
        logs.create_log_group(logGroupName=name, **{member: value})
        return logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0].get(member) != value

    return probe


def _tiering_is_not_there(account: Any) -> bool:
    s3, bucket = account.client("s3"), uuid4().hex
    s3.create_bucket(Bucket=bucket)
    tierings = [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]
    configuration = {"Id": "t", "Status": "Enabled", "Tierings": tierings}
    try:
        s3.put_bucket_intelligent_tiering_configuration(
            Bucket=bucket, Id="t", IntelligentTieringConfiguration=configuration
        )
        found = s3.list_bucket_intelligent_tiering_configurations(Bucket=bucket)
    except ClientError:
        return True
    return not found.get("IntelligentTieringConfigurationList")


def _logging_wants_the_policy_first(account: Any) -> bool:
    """Return whether our patch takes a target without a policy, and moto by itself still refuses it."""
    s3, bucket = account.client("s3"), uuid4().hex
    s3.create_bucket(Bucket=bucket)
    wanted = {"TargetBucket": bucket, "TargetPrefix": "p/"}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": wanted})
    return s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == wanted and _moto_refuses_to_log()


def _moto_refuses_to_log() -> bool:
    return (
        _plain_moto(
            "s3 = boto3.client('s3', region_name='us-east-1')",
            "s3.create_bucket(Bucket='access-logs')",
            "target = {'LoggingEnabled': {'TargetBucket': 'access-logs', 'TargetPrefix': 'p/'}}",
            "try:",
            "    s3.put_bucket_logging(Bucket='access-logs', BucketLoggingStatus=target)",
            "except s3.exceptions.ClientError as error:",
            "    print(error.response['Error']['Code'])",
        )
        == "InvalidTargetBucketForLogging"
    )


def _pools_have_short_names(account: Any) -> bool:
    """Return whether our patch makes ids of AWS's length, and moto by itself longer ones."""
    pool = account.client("cognito-idp").create_user_pool(PoolName="p")["UserPool"]["Id"]
    plain = _plain_moto(
        "cognito = boto3.client('cognito-idp', region_name='us-east-1')",
        "print(cognito.create_user_pool(PoolName='p')['UserPool']['Id'])",
    )
    return len(pool) == len("us-east-1_") + 9 < len(plain)


def _plain_moto(*lines: str) -> str:
    """Return what a program prints that has moto in its own process, without our patches."""
    program = "\n".join(["import boto3, moto", "with moto.mock_aws():", *(f"    {line}" for line in lines)])
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


def _replication_forgets_the_criteria(account: Any) -> bool:
    s3, bucket = account.client("s3"), uuid4().hex
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule: dict[str, Any] = {"ID": "a", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    rule |= {"Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}, "DeleteMarkerReplication": {"Status": "Disabled"}}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": _ROLE, "Rules": [rule]})
    found = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"][0]
    return "SourceSelectionCriteria" not in found


def _a_replica_makes_its_primary_one(account: Any) -> bool:
    kms = account.client("kms")
    key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion="us-west-2")
    account.client("kms", "us-west-2").describe_key(KeyId=key)
    found = kms.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    return found["MultiRegionKeyType"] == "REPLICA" and ":us-east-1:" in found["PrimaryKey"]["Arn"]


def _a_policy_gets_another_name(account: Any) -> bool:
    scaling = account.client("application-autoscaling")
    target = {"ServiceNamespace": "dynamodb", "ResourceId": f"table/{uuid4().hex}"}
    target["ScalableDimension"] = "dynamodb:table:ReadCapacityUnits"
    scaling.register_scalable_target(MinCapacity=1, MaxCapacity=2, **target)
    step: Any = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 1}]}
    arns = {
        scaling.put_scaling_policy(
            PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=step, **target
        )["PolicyARN"]
        for _ in range(2)
    }
    return len(arns) == 2


def _health_check_logs_have_a_place(account: Any) -> bool:
    """Return whether our patch answers them, and moto by itself still refuses them."""
    ec2, elbv2 = account.client("ec2"), account.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.8.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        for i, zone in enumerate("ab")
    ]
    made = elbv2.create_load_balancer(Name=uuid4().hex[:20], Subnets=[subnet["SubnetId"] for subnet in subnets])
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    wanted = {"Key": "health_check_logs.s3.bucket", "Value": "b"}
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[wanted])
    return wanted in elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]


def _a_vault_keeps_its_policy(account: Any) -> bool:
    """Return whether our calls keep, answer and forget it, and moto by itself still has none."""
    backup, name = account.client("backup"), uuid4().hex[:20]
    backup.create_backup_vault(BackupVaultName=name)
    if not _refuses("backup", "get_backup_vault_access_policy", BackupVaultName=name)(account):
        return False
    backup.put_backup_vault_access_policy(BackupVaultName=name, Policy=_POLICY)
    kept = backup.get_backup_vault_access_policy(BackupVaultName=name)["Policy"]
    backup.delete_backup_vault_access_policy(BackupVaultName=name)
    gone = _refuses("backup", "get_backup_vault_access_policy", BackupVaultName=name)(account)
    return kept == _POLICY and gone and not hasattr(moto.backup.models.BackupBackend, "put_backup_vault_access_policy")


_POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})
_TOPIC = "arn:aws:sns:us-east-1:000000000000:t"

PROBES: dict[tuple[str, str], Probe] = {
    ("accessanalyzer", "Analyzer"): _refuses("accessanalyzer", "list_analyzers"),
    ("application-autoscaling", "ScalingPolicy.PolicyARN"): _a_policy_gets_another_name,
    ("backup", "BackupSelection"): _refuses("backup", "list_backup_selections", BackupPlanId="p"),
    ("backup", "BackupVault.AccessPolicy"): _a_vault_keeps_its_policy,
    ("backup", "BackupVault.Notifications"): _all(
        _refuses(
            "backup",
            "put_backup_vault_notifications",
            BackupVaultName="v",
            SNSTopicArn=_TOPIC,
            BackupVaultEvents=["BACKUP_JOB_FAILED"],
        ),
        _refuses("backup", "get_backup_vault_notifications", BackupVaultName="v"),
    ),
    ("cloudwatch", "CompositeAlarm"): _refuses("cloudwatch", "put_composite_alarm", AlarmName="a", AlarmRule="TRUE"),
    ("codebuild", "Project.concurrentBuildLimit"): lambda account: (
        _project(account, location="l").get("concurrentBuildLimit") != 2
    ),
    ("codebuild", "Project.encryptionKey"): lambda account: _project(account, location="l")["encryptionKey"] != _KEY,
    ("codebuild", "Project.source.location"): _no_source_wants_a_location,
    ("cognito-idp", "ResourceServer"): _refuses(
        "cognito-idp", "delete_resource_server", UserPoolId="p_1", Identifier="i"
    ),
    ("cognito-idp", "UserPool.Id"): _pools_have_short_names,
    ("cognito-idp", "UserPool.UsernameAttributes"): _a_change_loses("UsernameAttributes", UsernameAttributes=["email"]),
    ("cognito-idp", "UserPool.UsernameConfiguration"): _a_change_loses(
        "UsernameConfiguration", UsernameConfiguration={"CaseSensitive": False}
    ),
    ("ecs", "Service.capacityProviderStrategy"): _a_service_has_no_strategy,
    ("elbv2", "LoadBalancerAttribute.health_check_logs"): _health_check_logs_have_a_place,
    ("kms", "Key.MultiRegionConfiguration.MultiRegionKeyType"): _a_replica_makes_its_primary_one,
    ("logs", "LogGroup.deletionProtectionEnabled"): _group_loses("deletionProtectionEnabled", value=True),
    ("logs", "LogGroup.logGroupClass"): _group_loses("logGroupClass", "STANDARD"),
    ("logs", "QueryDefinition"): _refuses("logs", "describe_query_definitions"),
    ("rds", "DBCluster.DatabaseInsightsMode"): _cluster_loses("DatabaseInsightsMode", "advanced"),
    ("rds", "DBCluster.MonitoringInterval"): _cluster_loses("MonitoringInterval", 60),
    ("rds", "DBCluster.MonitoringRoleArn"): _cluster_loses("MonitoringRoleArn", _ROLE),
    ("rds", "DBCluster.PerformanceInsightsEnabled"): _cluster_loses(
        "EnablePerformanceInsights", value=True, member="PerformanceInsightsEnabled"
    ),
    ("rds", "DBCluster.PerformanceInsightsKMSKeyId"): _cluster_loses("PerformanceInsightsKMSKeyId", _KEY),
    ("rds", "DBCluster.PerformanceInsightsRetentionPeriod"): _cluster_loses("PerformanceInsightsRetentionPeriod", 465),
    ("rds", "DBCluster.StorageType"): _optimised_storage_breaks,
    ("rds", "DBInstance.DatabaseInsightsMode"): _instance_has_no_insights_mode,
    ("route53resolver", "FirewallDomainList"): _refuses("route53resolver", "list_firewall_domain_lists"),
    ("route53resolver", "FirewallRuleGroup"): _refuses("route53resolver", "list_firewall_rule_groups"),
    ("route53resolver", "FirewallRuleGroupAssociation"): _refuses(
        "route53resolver", "list_firewall_rule_group_associations"
    ),
    ("route53resolver", "ResolverQueryLogConfig"): _all(
        _refuses("route53resolver", "delete_resolver_query_log_config", ResolverQueryLogConfigId="i"),
        _refuses(
            "route53resolver", "disassociate_resolver_query_log_config", ResolverQueryLogConfigId="i", ResourceId="v"
        ),
    ),
    ("s3", "Bucket.LoggingEnabled"): _logging_wants_the_policy_first,
    ("s3", "IntelligentTieringConfiguration"): _tiering_is_not_there,
    ("s3", "ReplicationRule.SourceSelectionCriteria"): _replication_forgets_the_criteria,
    ("securityhub", "StandardsSubscription"): _refuses("securityhub", "get_enabled_standards"),
    ("synthetics", "Canary"): _refuses("synthetics", "delete_canary", Name="n"),
    ("synthetics", "Canary.Status.State"): _refuses("synthetics", "start_canary", Name="n"),
}
