"""Keys: what everything else is encrypted under. They are made first, and outlive every other stack."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from signalbox_constructs.encryption import customer_key, grant_to_logs
from stacks.settings import Settings


class KeysStack(cdk.Stack):
    """`data`: database, backups, secrets. `operations`: logs, notifications, images. `evidence`: audit and evidence."""

    def __init__(self, scope: Construct, settings: Settings, env: cdk.Environment) -> None:
        super().__init__(scope, f"{settings.name}-keys", env=env, termination_protection=True)
        given = settings.keys
        self.data = self._key("Data", given.data_arn, "Signalbox: database, its backups and its password")
        self.operations = self._key("Operations", given.operations_arn, "Signalbox: logs, notifications and images")
        self.evidence = self._key("Evidence", given.evidence_arn, "Signalbox: audit records and evidence")
        if given.operations_arn is None:
            grant_to_logs(self.operations)

    def _key(self, name: str, arn: str | None, description: str) -> kms.IKey:
        if arn is not None:
            return kms.Key.from_key_arn(self, name, arn)
        return customer_key(self, name, description=description)
