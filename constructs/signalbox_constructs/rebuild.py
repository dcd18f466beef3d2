"""Builds the image anew from its source, on a schedule or by hand. Deploying what came out stays a reviewed act."""

import json
from dataclasses import dataclass
from typing import Any  # a build specification is free JSON

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.encryption import encrypted_log_group
from signalbox_constructs.findings import accept, accept_of_frameworks

_PYTHON = "public.ecr.aws/docker/library/python:3.13-slim"
_UV = "ghcr.io/astral-sh/uv:0.13.9"
_BUILD = (
    "docker build --file source/service/Dockerfile --platform linux/arm64 --provenance=false"
    ' --build-context rds=rds --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "UV_IMAGE=$UV_IMAGE"'
    ' --build-arg "RDS_BUNDLE_SHA256=$RDS_BUNDLE_SHA256" --tag "$REPOSITORY:$IMAGE_TAG" source'
)
_RDS_BUNDLE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"


@dataclass(frozen=True, kw_only=True)
class RebuildProps:
    name: str
    source: str
    """The HTTPS URL of a Git repository that anybody may read: no credentials are kept."""
    revision: str
    """A branch or tag."""
    repository: ecr.IRepository
    repository_uri: str
    key: kms.IKey


class Rebuild(Construct):
    """A build project that pushes an image under a tag of its own and says its digest, and on what it stands.

    Exposes `project`, `project_arn`, `role` and `logs`. The build names its base images and the authorities of RDS by
    the digests that it finds: reviewing them is part of reviewing the new digest.
    """

    def __init__(self, scope: Construct, construct_id: str, props: RebuildProps) -> None:
        super().__init__(scope, construct_id)
        self.logs = encrypted_log_group(self, "Logs", key=props.key)
        self.role = principals.service_role(self, "Role", assumed_by="codebuild.amazonaws.com", source="codebuild")
        self.logs.grant_write(self.role)
        props.repository.grant_pull_push(self.role)
        accept(
            self.role,
            "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="ecr:GetAuthorizationToken knows no resource. The other statements name the repository and the log "
            "group.",
        )
        accept_of_frameworks(
            self.role,
            "IAMNoInlinePolicy",
            reason="The policy is this role's alone, written by its grants, and goes with it; a managed policy could "
            "be attached to another identity as well.",
        )
        self.project = codebuild.CfnProject(
            self,
            "Project",
            name=f"{props.name}-rebuild",
            description="Builds the image of the control plane anew",
            service_role=self.role.role_arn,
            encryption_key=props.key.key_arn,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            source=codebuild.CfnProject.SourceProperty(
                type="NO_SOURCE", build_spec=json.dumps(build_specification(), indent=1)
            ),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="ARM_CONTAINER",
                compute_type="BUILD_GENERAL1_SMALL",
                image="aws/codebuild/amazonlinux-aarch64-standard:3.0",
                # for the Docker daemon; the build runs in no network of ours
                privileged_mode=True,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in (
                        ("SOURCE", props.source),
                        ("REVISION", props.revision),
                        ("REPOSITORY", props.repository_uri),
                    )
                ],
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=self.logs.log_group_name
                )
            ),
            concurrent_build_limit=1,
            timeout_in_minutes=60,
            queued_timeout_in_minutes=60,
        )
        self.project_arn = self.project.attr_arn
        accept_of_frameworks(
            self.project,
            "CodeBuildProjectSourceRepoUrl",
            reason="The project has no source of CodeBuild's, and so no credentials of one: it clones what anybody "
            "may read.",
        )


def build_specification() -> dict[str, Any]:
    """Return what CodeBuild runs: all commands in one shell, until the first that fails."""
    return {
        "version": "0.2",
        "env": {"shell": "bash", "exported-variables": ["IMAGE_TAG", "IMAGE_DIGEST"]},
        "phases": {
            "pre_build": {
                "on-failure": "ABORT",
                "commands": [
                    'git clone --quiet --depth 1 --branch "$REVISION" "$SOURCE" source',
                    'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
                    f"curl --fail --silent --show-error --create-dirs --output rds/global-bundle.pem {_RDS_BUNDLE}",
                    f"docker pull --quiet {_PYTHON}",
                    f"docker pull --quiet {_UV}",
                ],
            },
            "build": {
                "on-failure": "ABORT",
                "commands": [
                    "pinned() { docker image inspect --format '{{index .RepoDigests 0}}' \"$1\"; }",
                    f'PYTHON_IMAGE="$(pinned {_PYTHON})"',
                    f'UV_IMAGE="$(pinned {_UV})"',
                    'RDS_BUNDLE_SHA256="$(sha256sum rds/global-bundle.pem | cut -d " " -f 1)"',
                    'IMAGE_TAG="rebuild-$(date -u +%Y%m%dT%H%M%SZ)-$(git -C source rev-parse --short=12 HEAD)"',
                    _BUILD,
                    'docker push --quiet "$REPOSITORY:$IMAGE_TAG"',
                    'IMAGE_DIGEST="$(pinned "$REPOSITORY:$IMAGE_TAG")"',
                    'IMAGE_DIGEST="${IMAGE_DIGEST#*@}"',
                    "export IMAGE_TAG IMAGE_DIGEST",
                    'echo "$REPOSITORY:$IMAGE_TAG $IMAGE_DIGEST"',
                    'echo "stands on $PYTHON_IMAGE, $UV_IMAGE, RDS authorities sha256:$RDS_BUNDLE_SHA256"',
                ],
            },
        },
    }
