"""Data: the database, its backups and the audit archive, which outlive every deployment of the service."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.archive import AccessLogBucket, ArchiveBucket
from signalbox_constructs.aurora import AuroraPostgres, AuroraPostgresProps, Provisioned, Serverless
from signalbox_constructs.replica import make_global
from signalbox_constructs.vault import DailyBackup, DailyBackupProps, SecondVault, locked_vault
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.settings import Settings


class DataStack(cdk.Stack):
    def __init__(
        self, scope: Construct, settings: Settings, env: cdk.Environment, *, keys: KeysStack, network: NetworkStack
    ) -> None:
        super().__init__(scope, f"{settings.name}-data", env=env, termination_protection=True)

        self.database = AuroraPostgres(
            self,
            "Database",
            AuroraPostgresProps(
                vpc=network.network.vpc,
                zones=settings.availability_zones[: 1 + settings.database.readers],
                key=keys.data,
                log_key=keys.operations,
                identifier=settings.name,
                parameter_prefix=f"/{settings.name}/database",
                engine_version=settings.database.engine_version,
                capacity=capacity_of(settings),
                backup_retention=cdk.Duration.days(settings.database.backup_days),
                global_member=settings.recovery is not None and settings.recovery.global_database,
            ),
        )
        if settings.recovery and settings.recovery.global_database:
            make_global(self, "Global", identifier=settings.name, primary=self.database)
        self.vault = locked_vault(
            self,
            "Vault",
            name=settings.name,
            key=keys.data,
            grace=cdk.Duration.days(settings.backup.lock_grace_days),
        )
        self.backup = DailyBackup(
            self,
            "Backup",
            DailyBackupProps(
                vault=self.vault,
                key=keys.data,
                cluster_arn=self.database.arn,
                retention=cdk.Duration.days(settings.backup.retention_days),
                copy_to=second_vault_of(settings),
            ),
        )
        self.access_logs = AccessLogBucket(self, "AccessLogs")
        self.audit = ArchiveBucket(
            self,
            "Audit",
            key=keys.evidence,
            lock=cdk.Duration.days(settings.evidence.lock_days),
            access_logs=self.access_logs,
        )


def capacity_of(settings: Settings) -> Serverless | Provisioned:
    database = settings.database
    if database.capacity == "provisioned":
        return Provisioned(instance_class=database.instance_class)
    return Serverless(min_capacity=database.min_capacity, max_capacity=database.max_capacity)


def second_vault_of(settings: Settings) -> SecondVault | None:
    """Return the names that the recovery stack gives its vault and its key: regions share nothing but names."""
    if settings.recovery is None:
        return None
    name = f"{settings.name}-recovery"
    return SecondVault(region=settings.recovery.region, name=name, key_alias=name)
