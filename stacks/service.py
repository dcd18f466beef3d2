"""Service: the processes of the control plane. It keeps nothing, and may be deleted and deployed again at any time."""

from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from signalbox_constructs.process import HTTPS_PORT, Image, Process, ProcessProps
from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.settings import Settings

START_GRACE = cdk.Duration.seconds(60)


class ServiceStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        env: cdk.Environment,
        *,
        keys: KeysStack,
        network: NetworkStack,
        data: DataStack,
        edge: EdgeStack,
    ) -> None:
        super().__init__(scope, f"{settings.name}-service", env=env)
        private = network.network

        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=private.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
        )
        process = partial(
            ProcessProps,
            image=Image(
                repository_arn=settings.image_repository_arn,
                reference=f"{settings.image_repository}@{settings.image.digest}",
            ),
            cpu=settings.service.cpu,
            memory=settings.service.memory,
            network=private,
            s3_prefix_list_id=settings.network.s3_prefix_list_id,
            database=data.database,
            log_key=keys.operations,
        )

        self.serve = Process(self, "Serve", process(command=["signalbox", "serve"], port=HTTPS_PORT))
        service = self.serve.run_as_service(self.cluster, copies=settings.service.serve.least, grace=START_GRACE)
        service.attach_to_application_target_group(edge.edge.target_group)

        self.reconcile = Process(self, "Reconcile", process(command=["signalbox", "reconcile"]))
        self.reconcile.run_as_service(self.cluster, copies=settings.service.reconcile.least)

        self.migrate = Process(self, "Migrate", process(command=["signalbox", "migrate"]))
        cdk.CfnOutput(
            self,
            "MigrateCommand",
            value=self.migrate.command_to_run_once(self.cluster),
            description="Bring the schema to this release: before the first start, and before each roll-out",
        )
