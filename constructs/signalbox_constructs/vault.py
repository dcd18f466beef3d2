"""Backups that nobody can delete: a locked vault, the plan that fills it, and the role that may do so.

Point-in-time recovery stays with Aurora. A continuous rule of AWS Backup would take the retention of the cluster over
from its template, and ends after 35 days, below the least that a locked vault of ours may keep.
"""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct, IConstruct

from signalbox_constructs import principals
from signalbox_constructs.findings import accept

_USE = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)

LEAST_RETENTION = cdk.Duration.days(7)
"""What the lock demands of every recovery point. It can never be changed again, so it is not a setting: each point is
kept as long as its plan said, which the lock enforces too."""


def locked_vault(
    scope: Construct, construct_id: str, *, name: str, key: kms.IKey, grace: cdk.Duration
) -> backup.BackupVault:
    """Return a vault under `key` whose recovery points nobody deletes before their time.

    After `grace` (3 days at least) nobody can take the lock off any more, neither the account's root nor AWS. Only this
    account may copy into it.
    """
    vault = backup.BackupVault(
        scope,
        construct_id,
        backup_vault_name=name,
        encryption_key=key,
        lock_configuration=backup.LockConfiguration(min_retention=LEAST_RETENTION, changeable_for=grace),
        block_recovery_point_deletion=True,
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    vault.add_to_access_policy(
        iam.PolicyStatement(
            sid="CopiesOfThisAccountOnly",
            effect=iam.Effect.DENY,
            principals=[principals.anyone()],
            actions=["backup:CopyIntoBackupVault"],
            resources=["*"],
            conditions={"StringNotEquals": {"aws:PrincipalAccount": cdk.Stack.of(scope).account}},
        )
    )
    return vault


@dataclass(frozen=True, kw_only=True)
class SecondVault:
    """A vault in another region, by names that are fixed, and the alias of its key."""

    region: str
    name: str
    key_alias: str


@dataclass(frozen=True, kw_only=True)
class DailyBackupProps:
    vault: backup.IBackupVault
    key: kms.IKey
    """Of the database, and of the vault."""
    cluster_arn: str
    retention: cdk.Duration
    copy_to: SecondVault | None = None


class DailyBackup(Construct):
    """A snapshot of one Aurora cluster a day into a vault, and a copy of each into another region.

    Exposes `plan` and `role`, which may take, copy and expire snapshots of this cluster.
    """

    def __init__(self, scope: Construct, construct_id: str, props: DailyBackupProps) -> None:
        super().__init__(scope, construct_id)
        self.role = principals.service_role(self, "Role", assumed_by="backup.amazonaws.com", source="backup")
        _allow_snapshots(self.role, props)
        self.plan = backup.BackupPlan(self, "Plan", backup_vault=props.vault)
        self.plan.add_rule(
            backup.BackupPlanRule(
                rule_name="daily",
                schedule_expression=events.Schedule.cron(hour="5", minute="0"),
                start_window=cdk.Duration.hours(1),
                completion_window=cdk.Duration.hours(6),
                delete_after=props.retention,
                copy_actions=self._copies(props),
            )
        )
        backup.BackupSelection(
            self,
            "Selection",
            backup_plan=self.plan,
            resources=[backup.BackupResource.from_arn(props.cluster_arn)],
            role=self.role,
            disable_default_backup_policy=True,
        )

    def _copies(self, props: DailyBackupProps) -> list[backup.BackupPlanCopyActionProps] | None:
        if props.copy_to is None:
            return None
        there = backup.BackupVault.from_backup_vault_arn(self, "SecondVault", _arn(self, props.copy_to))
        return [
            backup.BackupPlanCopyActionProps(destination_backup_vault=there, delete_after=props.retention),
        ]


def _arn(scope: IConstruct, vault: SecondVault) -> str:
    return f"arn:aws:backup:{vault.region}:{cdk.Stack.of(scope).account}:backup-vault:{vault.name}"


def _allow_snapshots(role: iam.IRole, props: DailyBackupProps) -> None:
    """Grant what AWS's own policy for backups grants, for one cluster and the snapshots that AWS Backup makes.

    Source: the managed policy AWSBackupServiceRolePolicyForBackup, its statements for Aurora.
    """
    stack = cdk.Stack.of(role)
    regions = [stack.region, *([props.copy_to.region] if props.copy_to else [])]
    snapshots = [f"arn:aws:rds:{region}:{stack.account}:cluster-snapshot:awsbackup:*" for region in regions]
    vaults = [props.vault.backup_vault_arn, *([_arn(role, props.copy_to)] if props.copy_to else [])]

    def allow(actions: list[str], resources: list[str], conditions: dict[str, object] | None = None) -> None:
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions or {})
        )

    allow(["rds:DescribeDBClusters", "rds:ListTagsForResource"], [props.cluster_arn])
    allow(["rds:CreateDBClusterSnapshot"], [props.cluster_arn, *snapshots])
    allow(
        [
            "rds:AddTagsToResource",
            "rds:CopyDBClusterSnapshot",
            "rds:DeleteDBClusterSnapshot",
            "rds:DescribeDBClusterSnapshots",
            "rds:ListTagsForResource",
        ],
        snapshots,
    )
    allow(["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], vaults)
    through_rds: dict[str, object] = {"StringLike": {"kms:ViaService": [f"rds.{it}.amazonaws.com" for it in regions]}}
    allow([*_USE], [props.key.key_arn], through_rds)
    if props.copy_to:
        named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{props.copy_to.key_alias}"}}
        keys = f"arn:aws:kms:{props.copy_to.region}:{stack.account}:key/*"
        allow([*_USE], [keys], through_rds | named)
        accept(
            role,
            f"AwsSolutions::AwsSolutions-IAM5[Resource::{keys}]",
            reason="The key's id in the second region is not known here; the condition names the key by its alias.",
        )
    for snapshot in snapshots:
        accept(
            role,
            f"AwsSolutions::AwsSolutions-IAM5[Resource::{snapshot}]",
            reason="AWS Backup names its snapshots itself, all of them with this prefix; no other snapshot is reached.",
        )
