"""Patching: where images lie, when they are built anew, and what is told when one of them has a known hole.

Nothing here deploys: a new digest goes into the settings, through a review.
"""

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.findings import accept_of_frameworks
from signalbox_constructs.notices import Notices
from signalbox_constructs.rebuild import Rebuild, RebuildProps
from signalbox_constructs.registry import image_repository
from stacks.keys import KeysStack
from stacks.settings import Settings

_REMINDER = (
    "The image of {name} is due to be built anew: build it on the newest base images, review the digest, put it into "
    "the settings (docs/runbooks/upgrade.md)."
)


class PatchingStack(cdk.Stack):
    """Exposes `repository`, `notices` (a topic to subscribe to) and `rebuild` (None without a source)."""

    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment, *, keys: KeysStack) -> None:
        super().__init__(scope, f"{settings.name}-patching", env=env, termination_protection=True)
        self.repository = self._repository(settings, keys)
        self.notices = Notices(self, "Notices", key=keys.operations)
        self.rebuild = self._rebuild(settings, keys)
        self._tell_of_findings(settings)
        self._schedule(settings)
        cdk.CfnOutput(self, "Repository", value=settings.image_repository, description="Where images are pushed to")
        cdk.CfnOutput(self, "NoticesTopic", value=self.notices.topic.topic_arn, description="Subscribe to be told")

    def _repository(self, settings: Settings, keys: KeysStack) -> ecr.IRepository:
        if settings.image.repository is not None:
            return ecr.Repository.from_repository_arn(self, "Images", settings.image_repository_arn)
        return image_repository(self, "Images", name=settings.name, key=keys.operations)

    def _rebuild(self, settings: Settings, keys: KeysStack) -> Rebuild | None:
        if settings.patching.source is None:
            return None
        rebuild = Rebuild(
            self,
            "Rebuild",
            RebuildProps(
                name=settings.name,
                source=settings.patching.source,
                revision=settings.patching.revision,
                repository=self.repository,
                repository_uri=settings.image_repository,
                key=keys.operations,
            ),
        )
        self.notices.tell(
            "Rebuilt",
            description="A rebuild of the image ended; of a good one, the exported variables tell tag and digest",
            pattern={
                "source": ["aws.codebuild"],
                "detail-type": ["CodeBuild Build State Change"],
                "detail": {
                    "project-name": [rebuild.project.ref],
                    "build-status": ["SUCCEEDED", "FAILED", "FAULT", "STOPPED", "TIMED_OUT"],
                },
            },
        )
        return rebuild

    def _tell_of_findings(self, settings: Settings) -> None:
        """Tell of critical and high findings, by whichever scanner the account's registry is set to."""
        name = settings.image_repository.split("/", 1)[1]
        some = [{"numeric": [">", 0]}]
        self.notices.tell(
            "BasicScan",
            description="ECR found critical or high vulnerabilities in a pushed image",
            pattern={
                "source": ["aws.ecr"],
                "detail-type": ["ECR Image Scan"],
                "detail": {
                    "scan-status": ["COMPLETE"],
                    "repository-name": [name],
                    "finding-severity-counts": {"$or": [{"CRITICAL": some}, {"HIGH": some}]},
                },
            },
        )
        self.notices.tell(
            "EnhancedScan",
            description="Inspector found a critical or high vulnerability in an image",
            pattern={
                "source": ["aws.inspector2"],
                "detail-type": ["Inspector2 Finding"],
                "detail": {
                    "status": ["ACTIVE"],
                    "severity": ["CRITICAL", "HIGH"],
                    "resources": {"details": {"awsEcrContainerImage": {"repositoryName": [name]}}},
                },
            },
        )

    def _schedule(self, settings: Settings) -> None:
        """Start the rebuild, or remind of it where there is no source to build from."""
        role = principals.service_role(self, "ScheduleRole", assumed_by="scheduler.amazonaws.com", source="scheduler")
        accept_of_frameworks(
            role,
            "IAMNoInlinePolicy",
            reason="The policy is this role's alone, written for its one target, and goes with it; a managed policy "
            "could be attached to another identity as well.",
        )
        if self.rebuild is None:
            self.notices.grant_publish(role)
            target, message = self.notices.topic.topic_arn, _REMINDER.format(name=settings.name)
        else:
            role.add_to_principal_policy(
                iam.PolicyStatement(actions=["codebuild:StartBuild"], resources=[self.rebuild.project_arn])
            )
            target, message = self.rebuild.project_arn, None
        scheduler.CfnSchedule(
            self,
            "Schedule",
            description="The image is due to be built anew",
            schedule_expression=settings.patching.rebuild_schedule,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(arn=target, role_arn=role.role_arn, input=message),
        )
