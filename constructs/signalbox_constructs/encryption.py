"""Customer-managed keys, and log groups under them. Invariant: neither can be lost with its stack."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

LOG_RETENTION_DAYS = 400
"""A year of records, and a month to look back on it."""


class CustomerKey(kms.Key):
    """A symmetric key, rotated yearly, kept when its stack goes, and deleted no sooner than 30 days after the request."""

    def __init__(self, scope: Construct, construct_id: str, *, description: str) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            enable_key_rotation=True,
            rotation_period=cdk.Duration.days(365),
            pending_window=cdk.Duration.days(30),
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )

    def grant_logs(self) -> None:
        """Let CloudWatch Logs use this key, for log groups of this account and region only."""
        stack = cdk.Stack.of(self)
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LogGroupsOfThisAccount",
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": stack.format_arn(
                            service="logs", resource="log-group", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
                        )
                    }
                },
            )
        )


def encrypted_log_group(scope: Construct, construct_id: str, *, key: kms.IKey, name: str | None = None) -> logs.LogGroup:
    """Return a log group under `key` that outlives its stack; `name` only where AWS dictates one."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        encryption_key=key,
        retention=logs.RetentionDays.THIRTEEN_MONTHS,  # LOG_RETENTION_DAYS, in the words of CDK
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
