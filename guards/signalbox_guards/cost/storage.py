"""Buckets, backups, parameters."""

from typing import cast  # property values are free JSON

from signalbox_guards.canonical import Json
from signalbox_guards.cost.bill import Bill, Resource

GROUP = "Storage"
BACKUP = "Backup"


def price_bucket(bill: Bill, bucket: Resource) -> None:
    """What lies in it, what is written, and what is copied to another region."""
    size = bill.assumed("s3_gb_per_bucket")
    bill.add(GROUP, "S3 storage", "s3/storage_gb", size)
    bill.add(GROUP, "S3 writes", "s3/put_1k", bill.assumed("s3_put_thousands_per_bucket"))
    if bucket.properties.get("ReplicationConfiguration"):
        bill.add(GROUP, "S3 replication", "s3/replication_gb", size)


def price_vault(bill: Bill, _vault: Resource) -> None:
    bill.add(BACKUP, "Recovery points", "backup/vault_gb", bill.assumed("backup_vault_gb"))


def price_plan(bill: Bill, plan: Resource) -> None:
    """What its copy rules send to another region; the vault there is priced as a vault."""
    backup: Json = plan.properties.get("BackupPlan", {})
    rules = cast("list[Json]", backup.get("BackupPlanRule", []))
    copies = sum(len(cast("list[Json]", rule.get("CopyActions", []))) for rule in rules)
    if copies:
        bill.add(BACKUP, "Copies to another region", "backup/copy_gb", copies * bill.assumed("backup_copy_gb"))


def price_restore_test(bill: Bill, _plan: Resource) -> None:
    bill.add(BACKUP, "Restore tests", "backup/restore_test", bill.assumed("restore_tests"))


def price_parameter(bill: Bill, parameter: Resource) -> None:
    """Standard parameters are free."""
    if parameter.properties.get("Tier") in ("Advanced", "Intelligent-Tiering"):
        bill.add(GROUP, "Advanced parameters", "ssm/advanced_parameter", 1)
