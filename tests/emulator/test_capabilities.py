"""The capability list is true: for every entry, moto is asked and does not give what AWS would."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from signalbox_emulator.capabilities import CAPABILITIES, excuses
from signalbox_emulator.types.table import TABLE
from support.moto_probes import PROBES, Probe


def _network(account: Any) -> tuple[str, list[str]]:
    """Return a VPC and a subnet in each of two zones, not the first of the region."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        for i, zone in enumerate("bc")
    ]
    return vpc, [subnet["SubnetId"] for subnet in subnets]


def _prefix_list_rule_has_no_description(account: Any) -> bool:
    ec2 = account.client("ec2")
    group = ec2.create_security_group(GroupName=uuid4().hex, Description="d", VpcId=_network(account)[0])["GroupId"]
    peer = {"PrefixListId": "pl-63a5400a", "Description": "to S3"}
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [peer]}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission])
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    return "to S3" not in json.dumps([found, rules])


def _default_group_has_no_rule(account: Any) -> bool:
    filters = [{"Name": "vpc-id", "Values": [_network(account)[0]]}, {"Name": "group-name", "Values": ["default"]}]
    group = account.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"][0]
    return group["IpPermissions"] == []


def _service(account: Any, **settings: Any) -> Any:
    """Return an ECS service with `settings` as it reads back."""
    ecs, name = account.client("ecs"), uuid4().hex
    ecs.create_cluster(clusterName=name)
    containers = [{"name": "c", "image": "i", "memory": 128}]
    task = ecs.register_task_definition(family=name, containerDefinitions=containers)["taskDefinition"]
    ecs.create_service(
        cluster=name, serviceName="s", taskDefinition=task["taskDefinitionArn"], desiredCount=2, **settings
    )
    return ecs.describe_services(cluster=name, services=["s"])["services"][0]


def _loses_of_a_service(name: str, value: Any) -> Probe:
    return lambda account: _service(account, **{name: value}).get(name) != value


def _rotation_has_no_period(account: Any) -> bool:
    kms = account.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    return kms.get_key_rotation_status(KeyId=key).get("RotationPeriodInDays") != 180


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


def _instance(account: Any, **settings: Any) -> Any:
    rds, name = account.client("rds"), f"i{uuid4().hex[:12]}"
    cluster = _cluster(account)["DBClusterIdentifier"]
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBClusterIdentifier=cluster,
        DBInstanceClass="db.serverless",
        Engine="aurora-postgresql",
        **settings,
    )
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


_INSIGHTS = {
    "EnablePerformanceInsights": True,
    "PerformanceInsightsKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/k",
    "PerformanceInsightsRetentionPeriod": 31,
}


def _loses_of_an_instance(member: str, value: Any) -> Probe:
    return lambda account: _instance(account, **_INSIGHTS).get(member) != value


def _engine_lifecycle_is_lost(account: Any) -> bool:
    wanted = "open-source-rds-extended-support-disabled"
    return _cluster(account, EngineLifecycleSupport=wanted).get("EngineLifecycleSupport") != wanted


def _backups_end_now(account: Any) -> bool:
    latest = _cluster(account)["LatestRestorableTime"]
    return datetime.now(UTC) - latest < timedelta(seconds=10)


def _another_group_waits_for_a_restart(account: Any) -> bool:
    """Return whether a member that gets another group says pending-reboot until it has restarted, as in AWS."""
    rds, group = account.client("rds"), f"g{uuid4().hex[:12]}"
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=group, DBParameterGroupFamily="aurora-postgresql16", Description="other"
    )
    cluster = _instance(account)["DBClusterIdentifier"]
    rds.modify_db_cluster(DBClusterIdentifier=cluster, DBClusterParameterGroupName=group, ApplyImmediately=True)
    waiting = _members(account, cluster)
    for member in waiting:
        rds.reboot_db_instance(DBInstanceIdentifier=member)
    restarted = _members(account, cluster)
    return {*waiting.values()} == {"pending-reboot"} and {*restarted.values()} == {"in-sync"}


def _members(account: Any, cluster: str) -> dict[str, str]:
    (found,) = account.client("rds").describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    return {it["DBInstanceIdentifier"]: it["DBClusterParameterGroupStatus"] for it in found["DBClusterMembers"]}


def _no_task_runs(account: Any) -> bool:
    return _service(account)["runningCount"] == 0


def _certificate_is_issued_by_the_clock(account: Any) -> bool:
    """Ask moto's source of truth, the wait, instead of spending it: nothing else decides the status."""
    acm = account.client("acm")
    arn = acm.request_certificate(DomainName="nobody.example.com", ValidationMethod="DNS")["CertificateArn"]
    first = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    return first == "PENDING_VALIDATION" and _moto_waits_and_issues()


def _moto_waits_and_issues() -> bool:
    program = (
        "import boto3, moto\n"
        "with moto.mock_aws():\n"
        "    acm = boto3.client('acm', region_name='us-east-1')\n"
        "    arn = acm.request_certificate(DomainName='a.example.com', ValidationMethod='DNS')['CertificateArn']\n"
        "    print(acm.describe_certificate(CertificateArn=arn)['Certificate']['Status'])\n"
    )
    environment = {"MOTO_ACM_VALIDATION_WAIT": "0", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return answer.stdout.strip() == "ISSUED"


def _a_condition_decides_nothing(account: Any) -> bool:
    s3, bucket = account.client("s3"), uuid4().hex
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    denial = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    condition = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denial | condition]}))
    allowed = s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"  # over http, which AWS would deny
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
    with pytest.raises(ClientError, match="403"):
        s3.get_object(Bucket=bucket, Key="k")
    return allowed


_PROBES: dict[tuple[str, str], Probe] = {
    **PROBES,
    ("ec2", "SecurityGroupRule.Description"): _prefix_list_rule_has_no_description,
    ("ec2", "SecurityGroup.IpPermissions"): _default_group_has_no_rule,
    ("ecs", "Service.deploymentConfiguration"): _loses_of_a_service(
        "deploymentConfiguration", {"maximumPercent": 150, "minimumHealthyPercent": 100}
    ),
    ("ecs", "Service.availabilityZoneRebalancing"): _loses_of_a_service("availabilityZoneRebalancing", "ENABLED"),
    ("ecs", "Service.enableECSManagedTags"): _loses_of_a_service("enableECSManagedTags", value=True),
    ("ecs", "Service.enableExecuteCommand"): _loses_of_a_service("enableExecuteCommand", value=True),
    ("ecs", "Service.healthCheckGracePeriodSeconds"): _loses_of_a_service("healthCheckGracePeriodSeconds", 60),
    ("ecs", "Service.runningCount"): _no_task_runs,
    ("kms", "KeyRotationStatus.RotationPeriodInDays"): _rotation_has_no_period,
    ("rds", "DBCluster.EngineLifecycleSupport"): _engine_lifecycle_is_lost,
    ("rds", "DBCluster.DBClusterParameterGroupStatus"): _another_group_waits_for_a_restart,
    ("rds", "DBCluster.LatestRestorableTime"): _backups_end_now,
    ("rds", "DBInstance.PerformanceInsightsEnabled"): _loses_of_an_instance("PerformanceInsightsEnabled", value=True),
    ("rds", "DBInstance.PerformanceInsightsKMSKeyId"): _loses_of_an_instance(
        "PerformanceInsightsKMSKeyId", _INSIGHTS["PerformanceInsightsKMSKeyId"]
    ),
    ("rds", "DBInstance.PerformanceInsightsRetentionPeriod"): _loses_of_an_instance(
        "PerformanceInsightsRetentionPeriod", 31
    ),
    ("acm", "Certificate.Status"): _certificate_is_issued_by_the_clock,
    ("s3", "BucketPolicy.Condition"): _a_condition_decides_nothing,
}


@pytest.mark.parametrize("entry", CAPABILITIES, ids=lambda entry: f"{entry.service}-{entry.attribute}")
def test_moto_lacks_what_the_list_says(account: Any, entry: Any) -> None:
    assert _PROBES[entry.service, entry.attribute](account), f"{entry} is no longer true: take it off the list"


def test_no_probe_is_left_without_an_entry() -> None:
    assert set(_PROBES) == {(entry.service, entry.attribute) for entry in CAPABILITIES}


def test_every_excused_property_belongs_to_a_type_of_the_table() -> None:
    excused = [entry.property.split(".")[0] for entry in CAPABILITIES if entry.property]

    assert set(excused) <= set(TABLE)


def test_an_excuse_covers_what_is_below_it_and_nothing_beside_it() -> None:
    assert excuses("AWS::ECS::Service", "DeploymentConfiguration.DeploymentCircuitBreaker.Enable")
    assert not excuses("AWS::ECS::Service", "DeploymentController")
    assert not excuses("AWS::RDS::DBCluster", "StorageEncrypted")


def test_the_command_lists_the_same_in_json() -> None:
    command = [sys.executable, "-m", "signalbox_emulator", "capabilities", "-o", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert {(e["service"], e["attribute"]) for e in listed} == set(_PROBES)
    assert {e["kind"] for e in listed} <= {"lost", "absent", "invented", "patched"}
    assert all(e["reason"] for e in listed)
