"""Data: the database, which outlives every deployment of the service."""

import aws_cdk as cdk
from constructs import Construct

from signalbox_constructs.aurora import AuroraPostgres, AuroraPostgresProps
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
                writer_zone=settings.availability_zones[0],
                reader_zone=settings.availability_zones[1],
                key=keys.data,
                log_key=keys.operations,
                identifier=settings.name,
                engine_version=settings.database.engine_version,
                min_capacity=settings.database.min_capacity,
                max_capacity=settings.database.max_capacity,
            ),
        )
