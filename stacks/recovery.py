"""Recovery: what stands ready in the second region. It shares nothing with the first but names.

`RecoveryStack` comes before the data stack, whose backups are copied into its vault. `ReplicaStack` comes after it: a
replica needs a primary. Neither needs the first region to be there once it is deployed.
"""

import aws_cdk as cdk
from aws_cdk import aws_rds as rds
from constructs import Construct

from signalbox_constructs import postgres
from signalbox_constructs.encryption import customer_key, encrypted_log_group, grant_to_logs
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import ISOLATED, NewVpc, ThreeTierNetwork, ThreeTierNetworkProps
from signalbox_constructs.replica import AuroraReplica, AuroraReplicaProps
from signalbox_constructs.vault import locked_vault
from stacks.data import DataStack, capacity_of, second_vault_of
from stacks.settings import Settings
from stacks.settings.model import Recovery


class RecoveryStack(cdk.Stack):
    """Key and locked vault; with `pilot_light` or `global_database` also a network that waits for a database."""

    def __init__(self, scope: Construct, settings: Settings, recovery: Recovery) -> None:
        self._zones = recovery.availability_zones
        super().__init__(
            scope,
            f"{settings.name}-recovery",
            env=cdk.Environment(account=settings.account, region=recovery.region),
            termination_protection=True,
        )
        names = second_vault_of(settings)
        if names is None:
            raise RuntimeError("recovery: no names for the second region, wanted those of the settings")
        self.key = customer_key(
            self, "Key", description="Signalbox: copies of backups, and what is restored", alias=names.key_alias
        )
        grant_to_logs(self.key)
        self.vault = locked_vault(
            self,
            "Vault",
            name=names.name,
            key=self.key,
            grace=cdk.Duration.days(settings.backup.lock_grace_days),
        )
        self.place = DatabasePlace(self, "Place", settings, recovery, self) if _needs_a_place(recovery) else None

    @property
    def availability_zones(self) -> list[str]:
        """The configured zones of the second region."""
        return list(self._zones)


def _needs_a_place(recovery: Recovery) -> bool:
    return recovery.pilot_light or recovery.global_database


class DatabasePlace(Construct):
    """A network without ways out, and what a cluster is restored into. Nobody may connect until a service is there.

    Exposes `network`, `security_group`, `subnets`, `parameters` (the name of the group) and `server_logs`.
    """

    def __init__(
        self, scope: Construct, construct_id: str, settings: Settings, recovery: Recovery, stack: RecoveryStack
    ) -> None:
        super().__init__(scope, construct_id)
        name = f"{settings.name}-recovery"
        self.network = ThreeTierNetwork(
            self,
            "Network",
            ThreeTierNetworkProps(
                vpc=NewVpc(cidr=recovery.cidr, nat_gateways=0, log_key=stack.key),
                endpoint_zones=(),
                tasks="private",
                s3_prefix_list_id=recovery.s3_prefix_list_id,
            ),
        )
        self.security_group = ClosedSecurityGroup(
            self, "SecurityGroup", vpc=self.network.vpc, description="Signalbox database after a recovery"
        )
        self.subnets = rds.SubnetGroup(
            self,
            "Subnets",
            vpc=self.network.vpc,
            vpc_subnets=ISOLATED,
            subnet_group_name=name,
            description="Signalbox database after a recovery",
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        group = postgres.parameters(self, "Parameters", postgres.engine(settings.database.engine_version), name=name)
        self.parameters = group.bind_to_cluster().parameter_group_name
        # RDS would make it itself, without our key and for ever
        self.server_logs = encrypted_log_group(
            self, "ServerLogs", key=stack.key, name=postgres.log_group_name(settings.name)
        )
        for output, value in (
            ("RestoreKey", stack.key.key_arn),
            ("RestoreSecurityGroup", self.security_group.security_group_id),
            ("RestoreSubnetGroup", self.subnets.subnet_group_name),
            ("RestoreParameterGroup", self.parameters),
        ):
            cdk.CfnOutput(stack, output, value=value, description="For the commands of the runbook on region loss")


class ReplicaStack(cdk.Stack):
    """The second region's member of the global database. The data stack makes the global database of its cluster."""

    def __init__(self, scope: Construct, settings: Settings, *, recovery: RecoveryStack, data: DataStack) -> None:
        super().__init__(
            scope,
            f"{settings.name}-replica",
            env=cdk.Environment(account=settings.account, region=recovery.region),
            termination_protection=True,
        )
        if recovery.place is None:
            raise RuntimeError("recovery: no place for a replica, wanted one made by the recovery stack")
        self.add_stack_dependency(data)
        self.replica = AuroraReplica(
            self,
            "Replica",
            AuroraReplicaProps(
                global_cluster=settings.name,
                identifier=settings.name,
                zone=recovery.availability_zones[0],
                key=recovery.key,
                engine_version=settings.database.engine_version,
                capacity=capacity_of(settings),
                backup_retention=cdk.Duration.days(settings.database.backup_days),
                subnet_group_name=recovery.place.subnets.subnet_group_name,
                security_group=recovery.place.security_group,
                parameter_group_name=recovery.place.parameters,
            ),
        )
