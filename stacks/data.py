"""Data: the database and its key, which outlive every deployment of the service."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.aurora import AuroraPostgres, AuroraPostgresProps
from signalbox_constructs.encryption import customer_key
from stacks.network import NetworkStack
from stacks.settings import Settings


class DataStack(cdk.Stack):
    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment, *, network: NetworkStack) -> None:
        super().__init__(scope, f"{settings.name}-data", env=env, termination_protection=True)

        self.key = customer_key(self, "Key", description="Signalbox: database, its backups and its password")
        self.database = AuroraPostgres(
            self,
            "Database",
            AuroraPostgresProps(
                vpc=network.network.vpc,
                writer_zone=settings.availability_zones[0],
                reader_zone=settings.availability_zones[1],
                key=self.key,
                log_key=network.log_key,
                identifier=settings.name,
                engine_version=settings.database_engine_version,
                min_capacity=settings.database_min_capacity,
                max_capacity=settings.database_max_capacity,
            ),
        )
