"""Backup plans, selections and vaults as the assembly writes them."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.backup import BackedUp, BackupPlan, BackupRule, Region, Vault
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.resources import Resource, Resources


def regions(resources: Resources) -> list[Region]:
    return [Region(name) for name in sorted({it.region for it in resources.assembly.stacks if it.region})]


def _rule(row: dict[str, Any]) -> BackupRule:
    copies = [str(it.get("DestinationBackupVaultArn")).split(":") for it in row.get("CopyActions", [])]
    return BackupRule(
        schedule=str(row.get("ScheduleExpression")),
        keep_days=int(row.get("Lifecycle", {}).get("DeleteAfterDays", 0)),
        copied_to=tuple(arn[3] for arn in copies if arn[2:3] == ["backup"]),
    )


def _rules(plan: Resource) -> Fact[tuple[BackupRule, ...]]:
    rows = plan.get("BackupPlan.BackupPlanRule")
    if rows is None or isinstance(rows, Unknown):
        return rows
    return tuple(_rule(row) for row in cast("list[dict[str, Any]]", rows))


def plans(resources: Resources) -> list[BackupPlan]:
    return [
        BackupPlan(plan=plan.subject, region=plan.stack.region, rules=_rules(plan))
        for plan in resources.of("AWS::Backup::BackupPlan")
    ]


def _names(cluster: Resource) -> set[str]:
    stack = cluster.stack
    name = cluster.text("DBClusterIdentifier")
    return {cluster.id, f"arn:aws:rds:{stack.region}:{stack.account}:cluster:{name}"}


def _plans_of(resources: Resources, cluster: Resource) -> Fact[tuple[str, ...]]:
    found: list[str] = []
    for selection in resources.of("AWS::Backup::BackupSelection"):
        selected, plan = selection.texts("BackupSelection.Resources"), selection.text("BackupPlanId")
        for part in (selected, plan):
            if isinstance(part, Unknown):
                return part
        if _names(cluster) & set(cast("tuple[str, ...]", selected or ())):
            found.append(str(plan))
    return tuple(found)


def backed_up(resources: Resources) -> list[BackedUp]:
    return [
        BackedUp(cluster=cluster.subject, plans=_plans_of(resources, cluster))
        for cluster in resources.of("AWS::RDS::DBCluster")
    ]


def vaults(resources: Resources) -> list[Vault]:
    return [
        Vault(
            subject=vault.subject,
            key_id=vault.text("EncryptionKeyArn"),
            min_days=vault.number("LockConfiguration.MinRetentionDays"),
            grace_days=vault.number("LockConfiguration.ChangeableForDays"),
        )
        for vault in resources.of("AWS::Backup::BackupVault")
    ]
