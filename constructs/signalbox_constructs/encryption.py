"""Customer-managed keys, and log groups under them. Invariant: neither can be lost with its stack."""

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from signalbox_constructs import principals

LOG_RETENTION_DAYS = 400
"""A year of records, and a month to look back on it."""


def customer_key(scope: Construct, construct_id: str, *, description: str) -> kms.IKey:
    """Return a symmetric key: rotated yearly, kept when its stack goes, deleted 30 days after a request."""
    key = kms.Key(
        scope,
        construct_id,
        description=description,
        enable_key_rotation=True,
        rotation_period=cdk.Duration.days(365),
        pending_window=cdk.Duration.days(30),
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    return cast("kms.IKey", key)  # the stubs' mismatch that principals.py explains


def grant_to_logs(key: kms.IKey) -> None:
    """Let CloudWatch Logs use `key`, for log groups of its account and region only."""
    stack = cdk.Stack.of(key)
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="LogGroupsOfThisAccount",
            principals=[principals.service(f"logs.{stack.region}.amazonaws.com")],
            actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            resources=["*"],
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{stack.region}:{stack.account}:log-group:*"
                }
            },
        )
    )


def encrypted_log_group(
    scope: Construct, construct_id: str, *, key: kms.IKey, name: str | None = None
) -> logs.LogGroup:
    """Return a log group under `key` that outlives its stack; `name` only where AWS dictates one."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        encryption_key=key,
        retention=logs.RetentionDays.THIRTEEN_MONTHS,  # LOG_RETENTION_DAYS, in CDK's words
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
