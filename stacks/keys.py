"""Keys: what everything else is encrypted under. They are made first, and outlive every other stack."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from signalbox_constructs.encryption import (
    customer_key,
    grant_to_fargate,
    grant_to_logs,
    grant_to_service,
    grant_to_topics,
    grant_to_trails,
)
from stacks.settings import Settings


class KeysStack(cdk.Stack):
    """`data`: database, backups, secrets. `operations`: logs, notifications, images, disks of tasks. `evidence`: audit
    records and evidence.

    AWS services that use a key in their own name are admitted here, so that no other stack writes into a key's policy.
    Roles, and services that act in a caller's name (RDS, AWS Backup, Secrets Manager, ECR), need a right of their own:
    each policy leaves those to IAM. docs/keys.md lists it for keys that are brought along.
    """

    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, f"{settings.name}-keys", env=env, termination_protection=True)
        given = settings.keys
        arns = [arn for arn in (given.data_arn, given.operations_arn, given.evidence_arn) if arn is not None]
        self.template_options.metadata = {"Signalbox": {"BroughtAlong": {"AWS::KMS::Key": arns}}}
        self._prefix = settings.name
        self.data = self._key("Data", given.data_arn, "Signalbox: database, its backups and its password")
        self.operations = self._key("Operations", given.operations_arn, "Signalbox: logs, notifications and images")
        self.evidence = self._key("Evidence", given.evidence_arn, "Signalbox: audit records and evidence")
        if given.operations_arn is None:
            grant_to_logs(self.operations)
            grant_to_topics(self.operations, "cloudwatch.amazonaws.com", "events.amazonaws.com")
            grant_to_fargate(self.operations, cluster=settings.name)
        if given.evidence_arn is None:
            grant_to_trails(self.evidence)
            grant_to_service(self.evidence, "config.amazonaws.com")  # snapshots of the configuration to S3

    def _key(self, name: str, arn: str | None, description: str) -> kms.IKey:
        alias = f"{self._prefix}-{name.lower()}"
        if arn is not None:
            key = kms.Key.from_key_arn(self, name, arn)
        else:
            key = customer_key(self, name, description=description, alias=alias)
        # for the commands of the runbooks, whoever the key belongs to
        ssm.StringParameter(
            self,
            f"{name}Arn",
            parameter_name=f"/{self._prefix}/keys/{name.lower()}",
            string_value=key.key_arn,
            description=description,
        )
        return key
