"""Backup plans, selections, vaults and snapshots as AWS Backup and RDS describe them."""

from typing import Any  # API answers are free JSON

from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.facts.backup import BackedUp, BackupPlan, BackupRule, Region, Snapshot, Vault
from signalbox_evidence.facts.world import Fact, Subject, Unknown
from signalbox_evidence.live import database
from signalbox_evidence.live.deployment import Deployment

Row = dict[str, Any]

_PLAN, _VAULT = "AWS::Backup::BackupPlan", "AWS::Backup::BackupVault"


def regions(deployment: Deployment) -> list[Region]:
    deployment.stacks()  # a region counts with stacks that are settled, and the verdict rests on that answer
    return [Region(deployment.probe.region)]


def _rule(row: Row) -> BackupRule:
    copies = [str(it.get("DestinationBackupVaultArn")).split(":") for it in row.get("CopyActions", [])]
    return BackupRule(
        schedule=str(row.get("ScheduleExpression")),
        keep_days=row.get("Lifecycle", {}).get("DeleteAfterDays", 0),
        copied_to=tuple(arn[3] for arn in copies if arn[2:3] == ["backup"]),
    )


def plans(deployment: Deployment) -> list[BackupPlan]:
    return [
        BackupPlan(
            plan=Subject(type=_PLAN, id=name, arn=page.get("BackupPlanArn")),
            region=deployment.probe.region,
            rules=tuple(_rule(row) for row in page["BackupPlan"].get("Rules", [])),
        )
        for name in deployment.ids(_PLAN)
        for page in deployment.probe.read("backup:GetBackupPlan", BackupPlanId=name)
    ]


def _selected(deployment: Deployment, plan: str) -> set[str]:
    rows = deployment.probe.rows("backup:ListBackupSelections", "BackupSelectionsList", BackupPlanId=plan)
    return {
        resource
        for row in rows
        for page in deployment.probe.read(
            "backup:GetBackupSelection", BackupPlanId=plan, SelectionId=row["SelectionId"]
        )
        for resource in page["BackupSelection"].get("Resources", [])
    }


def _plans_of(deployment: Deployment, arn: str | None) -> Fact[tuple[str, ...]]:
    try:
        return tuple(name for name in deployment.ids(_PLAN) if arn in _selected(deployment, name))
    except ReadFailed as error:
        return Unknown(str(error))


def backed_up(deployment: Deployment) -> list[BackedUp]:
    return [
        BackedUp(cluster=it.subject, plans=_plans_of(deployment, it.subject.arn))
        for it in database.clusters(deployment)
    ]


def vaults(deployment: Deployment) -> list[Vault]:
    found: list[Vault] = []
    for name in deployment.ids(_VAULT):
        for row in deployment.probe.read("backup:DescribeBackupVault", BackupVaultName=name):
            key, until, since = row.get("EncryptionKeyArn"), row.get("LockDate"), row.get("CreationDate")
            found.append(
                Vault(
                    subject=Subject(type=_VAULT, id=name, arn=row.get("BackupVaultArn")),
                    key_id=key.rpartition("/")[2] if key else None,
                    min_days=row.get("MinRetentionDays") if row.get("Locked") else None,
                    grace_days=(until - since).days if until and since else None,
                )
            )
    return found


def _shared_with(deployment: Deployment, name: str) -> tuple[str, ...]:
    pages = deployment.probe.read("rds:DescribeDBClusterSnapshotAttributes", DBClusterSnapshotIdentifier=name)
    return tuple(
        account
        for page in pages
        for row in page["DBClusterSnapshotAttributesResult"].get("DBClusterSnapshotAttributes", [])
        if row["AttributeName"] == "restore"
        for account in row.get("AttributeValues", [])
    )


def snapshots(deployment: Deployment) -> list[Snapshot]:
    """Snapshots made by hand or by AWS Backup: those that RDS makes itself can be shared with nobody."""
    found: list[Snapshot] = []
    for cluster in database.clusters(deployment):
        rows = deployment.probe.rows(
            "rds:DescribeDBClusterSnapshots", "DBClusterSnapshots", DBClusterIdentifier=cluster.subject.id
        )
        for row in rows:
            name, key = row["DBClusterSnapshotIdentifier"], row.get("KmsKeyId")
            automated = row.get("SnapshotType") == "automated"
            found.append(
                Snapshot(
                    subject=Subject(type="AWS::RDS::DBClusterSnapshot", id=name, arn=row.get("DBClusterSnapshotArn")),
                    encrypted=row.get("StorageEncrypted"),
                    key_id=key.rpartition("/")[2] if key else None,
                    shared_with=() if automated else _shared_with(deployment, name),
                )
            )
    return found
