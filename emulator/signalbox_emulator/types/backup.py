"""AWS Backup vaults and plans."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, VALUE, Call, Kind, Read, Target
from signalbox_emulator.types.tagging import arn_of, tag_calls

JsonObject = dict[str, Any]

_DAY = 86400


def _arn(noun: str) -> str:
    return f"arn:aws:backup:{{region}}:{{account}}:{noun}:{{id}}"


def _read_tags(noun: str) -> Read:
    return Read("list_tags", {"ResourceArn": arn_of(_arn(noun))}, "Tags")


def _lock(target: Target, value: JsonObject) -> None:
    target.send("backup", "put_backup_vault_lock_configuration", {"BackupVaultName": target.id, **value})


def _read_lock(target: Target) -> JsonObject:
    """Return the lock in a template's words: the API answers the date from which on nobody can change it."""
    vault = target.client("backup").describe_backup_vault(BackupVaultName=target.id)
    if not vault.get("Locked"):
        return {}
    lock = {name: vault[name] for name in ("MinRetentionDays", "MaxRetentionDays") if name in vault}
    if "LockDate" in vault:
        lock["ChangeableForDays"] = round((vault["LockDate"] - vault["CreationDate"]).total_seconds() / _DAY)
    return lock


def _plan(value: JsonObject) -> JsonObject:
    """Return a plan in the API's words: a template says the rules' list and times otherwise."""
    plan = {"Rules" if name == "BackupPlanRule" else name: member for name, member in value.items()}
    words = {"TargetBackupVault": "TargetBackupVaultName"}
    plan["Rules"] = [{words.get(name, name): member for name, member in rule.items()} for rule in plan["Rules"]]
    return plan


def _create_plan(target: Target) -> str:
    sent = {**target.properties, "BackupPlan": _plan(target.properties["BackupPlan"])}
    return target.send("backup", "create_backup_plan", sent)["BackupPlanId"]


KINDS = (
    Kind(
        type="AWS::Backup::BackupVault",
        service="backup",
        create="create_backup_vault",
        ref="BackupVaultName",
        read=Read("describe_backup_vault", {"BackupVaultName": ID}, "@"),
        reads={
            "AccessPolicy": Read("get_backup_vault_access_policy", {"BackupVaultName": ID}, "Policy"),
            "LockConfiguration": _read_lock,
            "BackupVaultTags": _read_tags("backup-vault"),
        },
        delete=Call("delete_backup_vault", {"BackupVaultName": ID}),
        after={
            "AccessPolicy": Call("put_backup_vault_access_policy", {"BackupVaultName": ID, "Policy": VALUE}),
            "LockConfiguration": _lock,
            "Notifications": unsent("backup", "put_backup_vault_notifications"),
        },
        change={"BackupVaultTags": tag_calls(_arn("backup-vault")).add},
        replace=frozenset({"BackupVaultName", "EncryptionKeyArn"}),
        attributes={"BackupVaultArn": "BackupVaultArn", "BackupVaultName": "BackupVaultName"},
    ),
    Kind(
        type="AWS::Backup::BackupPlan",
        service="backup",
        create=_create_plan,
        read=Read("get_backup_plan", {"BackupPlanId": ID}, "@"),
        reads={"BackupPlanTags": _read_tags("backup-plan")},
        expects={"BackupPlan": lambda target: _plan(target.properties["BackupPlan"])},
        delete=Call("delete_backup_plan", {"BackupPlanId": ID}),
        change={"BackupPlanTags": tag_calls(_arn("backup-plan")).add},
        # moto has no call that changes a plan; AWS keeps its id.
        replace=frozenset({"BackupPlan"}),
        attributes={"BackupPlanArn": "BackupPlanArn", "BackupPlanId": "BackupPlanId", "VersionId": "VersionId"},
    ),
)
