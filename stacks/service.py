"""Service: the processes of the control plane. It keeps nothing, and may be deleted and deployed again at any time."""

from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from signalbox_constructs.cluster import task_cluster
from signalbox_constructs.containers import Image
from signalbox_constructs.process import HTTPS_PORT, Process, ProcessProps
from signalbox_constructs.scaling import Hours, TaskScaling
from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.identity import Issuer
from stacks.keys import KeysStack
from stacks.network import NetworkStack
from stacks.settings import Settings

START_GRACE = cdk.Duration.seconds(60)

QUEUED_PER_TASK = 5000
"""Waiting actions that one gateway is expected to see off before another is worth its price.

One replica enqueues about 4,000 actions a second, and leasing is faster (docs/performance.md): what is deeper than
this waits for more than a second of a gateway, or for room on the clusters, which `most` bounds the cost of.
"""


class ServiceStack(cdk.Stack):
    """Exposes `cluster`, `serve` and `reconcile` with their services, and the metric `queued_actions`."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        env: cdk.Environment,
        *,
        keys: KeysStack,
        network: NetworkStack,
        data: DataStack,
        issuer: Issuer,
        edge: EdgeStack,
    ) -> None:
        super().__init__(scope, f"{settings.name}-service", env=env)
        self.cluster = task_cluster(self, "Cluster", name=settings.name, vpc=network.network.vpc, key=keys.operations)
        process = partial(
            ProcessProps,
            image=Image(
                repository_arn=settings.image_repository_arn,
                reference=f"{settings.image_repository}@{settings.image.digest}",
            ),
            cpu=settings.service.cpu,
            memory=settings.service.memory,
            network=network.network,
            public=settings.network.tasks == "public",
            database=data.database,
            log_key=keys.operations,
        )

        self.serve = Process(
            self,
            "Serve",
            process(
                command=["signalbox", "serve"],
                health=["signalbox", "health", "serve"],
                port=HTTPS_PORT,
                environment={"SIGNALBOX_OIDC_ISSUER": issuer.url, "SIGNALBOX_OIDC_CLIENT_ID": issuer.client_id},
                secrets=self._secrets(issuer),
            ),
        )
        self.serve.run_as_service(self.cluster, grace=START_GRACE).attach_to_application_target_group(
            edge.edge.target_group
        )

        self.reconcile = Process(
            self,
            "Reconcile",
            process(command=["signalbox", "reconcile"], health=["signalbox", "health", "reconcile"]),
        )
        self.reconcile.run_as_service(self.cluster)

        self.queued_actions = self._queue_depth(settings)
        self._scale(settings)

    def _secrets(self, issuer: Issuer) -> dict[str, secretsmanager.ISecret]:
        if issuer.client_secret_arn is None:
            return {}
        secret = secretsmanager.Secret.from_secret_complete_arn(self, "ClientSecret", issuer.client_secret_arn)
        return {"SIGNALBOX_OIDC_CLIENT_SECRET": secret}

    def _queue_depth(self, settings: Settings) -> cloudwatch.Metric:
        """Make a metric of what the reconciler logs once a minute: how many actions wait."""
        queue = logs.MetricFilter(
            self,
            "QueuedActions",
            log_group=self.reconcile.logs,
            filter_pattern=logs.FilterPattern.string_value("$.event", "=", "queue"),
            metric_namespace=f"Signalbox/{settings.name}",
            metric_name="QueuedActions",
            metric_value="$.queued",
        )
        return queue.metric(statistic="Average", period=cdk.Duration.minutes(1))

    def _scale(self, settings: Settings) -> None:
        """Scale the gateway by CPU and by what waits, the reconcilers by CPU alone.

        Waiting actions are enqueued and leased through the gateway. A reconciler works through what is overdue, in
        passes that any number of them share; a deep queue by itself gives it nothing to do.
        """
        chosen = settings.service
        hours = chosen.working_hours
        for name, service, tasks in (
            ("ServeScaling", self.serve.service, chosen.serve),
            ("ReconcileScaling", self.reconcile.service, chosen.reconcile),
        ):
            scaling = TaskScaling(self, name, service=service, least=tasks.least, most=tasks.most)
            if service is self.serve.service:
                scaling.follow(self.queued_actions, per_task=QUEUED_PER_TASK)
            if hours is not None:
                scaling.sleep_outside(
                    Hours(timezone=hours.timezone, days=hours.days, start=hours.start, stop=hours.stop)
                )
