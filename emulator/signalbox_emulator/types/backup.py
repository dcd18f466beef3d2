"""AWS Backup vaults and plans."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ALL, ID, Call, Kind, Read, Target
from signalbox_emulator.types.tagging import read_tags, tag_calls

JsonObject = dict[str, Any]

_DAY = 86400
_VAULT_ARN = "arn:aws:backup:{region}:{account}:backup-vault:{id}"


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
        reads={"LockConfiguration": _read_lock, "BackupVaultTags": read_tags(_VAULT_ARN)},
        delete=Call("delete_backup_vault", {"BackupVaultName": ID}),
        after={
            "AccessPolicy": unsent("backup", "put_backup_vault_access_policy", "Policy"),
            "LockConfiguration": _lock,
            "Notifications": unsent("backup", "put_backup_vault_notifications"),
        },
        change={"BackupVaultTags": tag_calls(_VAULT_ARN).add},
        replace=frozenset({"BackupVaultName", "EncryptionKeyArn"}),
        attributes={"BackupVaultArn": "BackupVaultArn", "BackupVaultName": "BackupVaultName"},
    ),
    Kind(
        type="AWS::Backup::BackupPlan",
        service="backup",
        create=_create_plan,
        read=Read("get_backup_plan", {"BackupPlanId": ID}, "@"),
        reads={
            "BackupPlanTags": read_tags(
                lambda target: f"arn:aws:backup:{target.region}:{target.account}:backup-plan:{target.id}"
            )
        },
        expects={"BackupPlan": lambda target: _plan(target.properties["BackupPlan"])},
        delete=Call("delete_backup_plan", {"BackupPlanId": ID}),
        # moto has no call that changes a plan; AWS keeps its id.
        replace=ALL,
        attributes={"BackupPlanArn": "BackupPlanArn", "BackupPlanId": "BackupPlanId", "VersionId": "VersionId"},
    ),
)
