"""Ways to weaken what is kept: buckets, backups, keys, the database."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any  # answers are free JSON

from support.emulated_account import Account, Tamper
from support.held_answers import Weaken, changed, rows, told


def key_policy_with(statement: dict[str, Any]) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        kms, key = account.api("kms"), account.ids("AWS::KMS::Key", "Data")[0]
        before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        after = json.loads(before)
        after["Statement"].append({"Effect": "Allow", "Resource": "*", **statement})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(after))
        return lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)

    return changed(do)


def no_rotation(account: Account) -> Callable[[], Any]:
    kms, key = account.api("kms"), account.ids("AWS::KMS::Key")[0]
    kms.disable_key_rotation(KeyId=key)
    return lambda: kms.enable_key_rotation(KeyId=key)


def foreign_reader(account: Account) -> Callable[[], Any]:
    s3, bucket = account.api("s3"), account.ids("AWS::S3::Bucket")[0]
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    after = json.loads(before)
    foreign = {"AWS": "arn:aws:iam::999999999999:root"}
    grant = {"Effect": "Allow", "Principal": foreign, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    after["Statement"].append(grant)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(after))
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=before)


def no_policy(account: Account) -> Callable[[], Any]:
    s3, bucket = account.api("s3"), account.ids("AWS::S3::Bucket")[0]
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=before)


def old_tls(account: Account) -> Callable[[], Any]:
    s3, bucket = account.api("s3"), account.ids("AWS::S3::Bucket")[0]
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    after = json.loads(before)
    after["Statement"] = [it for it in after["Statement"] if "s3:TlsVersion" not in str(it.get("Condition"))]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(after))
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=before)


def no_versions(account: Account) -> Callable[[], Any]:
    s3, bucket = account.api("s3"), account.ids("AWS::S3::Bucket", "Canary")[0]

    def put(status: str) -> None:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    put("Suspended")
    return lambda: put("Enabled")


def own_key_of_s3(answer: dict[str, Any]) -> None:
    answer["ServerSideEncryptionConfiguration"]["Rules"] = [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    ]


def object_lock(**values: Any) -> Weaken:
    def tamper(answer: dict[str, Any]) -> None:
        answer["ObjectLockConfiguration"]["Rule"]["DefaultRetention"].update(values)

    return told("s3:GetObjectLockConfiguration", tamper)


def shared_snapshot(account: Account) -> Callable[[], Any]:
    rds, cluster = account.api("rds"), account.ids("AWS::RDS::DBCluster")[0]
    name = "by-hand"
    rds.create_db_cluster_snapshot(DBClusterIdentifier=cluster, DBClusterSnapshotIdentifier=name)
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=["all"]
    )
    return lambda: rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)


def plan_rules(**values: Any) -> Tamper:
    def tamper(answer: dict[str, Any]) -> None:
        for rule in answer["BackupPlan"]["Rules"]:
            rule.update(values)

    return tamper


def vault_told(**values: Any) -> Weaken:
    return told("backup:DescribeBackupVault", lambda answer: rows("vaults", **values)({"vaults": [answer]}))


@contextmanager
def second_region(account: Account) -> Generator[None]:
    account.other_regions.append("us-west-2")
    try:
        yield
    finally:
        account.other_regions.clear()


@contextmanager
def copies_stay_here(account: Account) -> Generator[None]:
    here = "arn:aws:backup:us-east-1:000000000000:backup-vault:signalbox"
    copies = plan_rules(CopyActions=[{"DestinationBackupVaultArn": here}])
    with second_region(account), account.told([("backup:GetBackupPlan", copies)]):
        yield


BLOCK = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def public_block(values: dict[str, bool] | None) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        s3, bucket = account.api("s3"), account.ids("AWS::S3::Bucket")[0]
        whole = dict.fromkeys(BLOCK, True)
        if values is None:
            s3.delete_public_access_block(Bucket=bucket)
        else:
            s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={**whole, **values})
        return lambda: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=whole)

    return changed(do)


def database_with(**values: Any) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        rds, name = account.api("rds"), account.ids("AWS::RDS::DBCluster")[0]
        before = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        rds.modify_db_cluster(DBClusterIdentifier=name, **values)
        return lambda: rds.modify_db_cluster(DBClusterIdentifier=name, **{key: before[key] for key in values})

    return changed(do)


def parameter_set(name: str, weak: str) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        rds, group = account.api("rds"), account.ids("AWS::RDS::DBClusterParameterGroup")[0]
        found = rds.describe_db_cluster_parameters(DBClusterParameterGroupName=group)["Parameters"]
        before = next(row["ParameterValue"] for row in found if row["ParameterName"] == name)

        def put(value: str) -> None:
            parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
            rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=group, Parameters=[parameter])

        put(weak)
        return lambda: put(before)

    return changed(do)


def key_state(state: str | None) -> Weaken:
    return told("kms:DescribeKey", lambda answer: rows("keys", KeyState=state)({"keys": [answer["KeyMetadata"]]}))
