"""Service: the processes of the control plane. It keeps nothing, and may be deleted and deployed again at any time."""

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from signalbox_constructs.process import HTTPS_PORT, Image, Process, ProcessProps
from stacks.data import DataStack
from stacks.edge import EdgeStack
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
        network: NetworkStack,
        data: DataStack,
        edge: EdgeStack,
    ) -> None:
        super().__init__(scope, f"{settings.name}-service", env=env)
        self._settings, self._network, self._data = settings, network, data

        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=network.network.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
        )
        self._image = Image(
            repository_arn=settings.image_repository_arn,
            reference=f"{settings.image_repository}@{settings.image_digest}",
        )

        self.serve = self._process(
            "Serve", {"SIGNALBOX_LISTEN": f"0.0.0.0:{HTTPS_PORT}", "SIGNALBOX_TLS": "self-signed"}
        )
        self.serve.listen(HTTPS_PORT)
        self.serve.run_as_service(
            self.cluster, copies=settings.serve_tasks, grace=START_GRACE
        ).attach_to_application_target_group(edge.edge.target_group)

        self.reconcile = self._process("Reconcile", {})
        self.reconcile.run_as_service(self.cluster, copies=settings.reconcile_tasks)

        self.migrate = self._process("Migrate", {})
        subnets = network.network.vpc.select_subnets(subnet_group_name="private").subnet_ids
        cdk.CfnOutput(
            self,
            "MigrateCommand",
            description="Bring the schema to this release: before the first start, and before each roll-out",
            value=(
                f"aws ecs run-task --region {settings.region} --cluster {self.cluster.cluster_name}"
                f" --launch-type FARGATE --task-definition {self.migrate.task_definition.task_definition_arn}"
                f" --network-configuration 'awsvpcConfiguration={{subnets=[{','.join(subnets)}],"
                f"securityGroups=[{self.migrate.security_group.security_group_id}],assignPublicIp=DISABLED}}'"
            ),
        )

    def _process(self, name: str, environment: dict[str, str]) -> Process:
        return Process(
            self,
            name,
            ProcessProps(
                command=["signalbox", name.lower()],
                image=self._image,
                cpu=self._settings.task_cpu,
                memory=self._settings.task_memory,
                network=self._network.network,
                s3_prefix_list_id=self._settings.s3_prefix_list_id,
                database=self._data.database,
                log_key=self._network.log_key,
                environment=environment,
            ),
        )
