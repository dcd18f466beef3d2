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


def customer_key(scope: Construct, construct_id: str, *, description: str, alias: str) -> kms.IKey:
    """Return a symmetric key: rotated yearly, kept when its stack goes, deleted 30 days after a request.

    `alias` (without "alias/") is for people: nothing here refers to the key by it.
    """
    key = kms.Key(
        scope,
        construct_id,
        alias=alias,
        description=description,
        enable_key_rotation=True,
        rotation_period=cdk.Duration.days(365),
        pending_window=cdk.Duration.days(30),
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )
    return cast("kms.IKey", key)  # the stubs' mismatch that principals.py explains


def grant_to_service(key: kms.IKey, service: str) -> None:
    """Let the AWS service `service` encrypt and decrypt with `key`, on behalf of this account only.

    The key has to be one of the app: the policy of an imported one cannot be changed.
    """
    account = cdk.Stack.of(key).account
    _admit(key, service, ["kms:Decrypt", "kms:GenerateDataKey*"], {"StringEquals": {"aws:SourceAccount": account}})


def grant_to_logs(key: kms.IKey) -> None:
    """Let CloudWatch Logs use `key`, for log groups of its account and region only."""
    stack = cdk.Stack.of(key)
    context = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:*"
    _admit(
        key,
        f"logs.{stack.region}.amazonaws.com",
        ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": context}},
    )


def grant_to_topics(key: kms.IKey, *publishers: str) -> None:
    """Let the AWS services `publishers` publish to SNS topics under `key`, to those of its account and region only.

    Services that publish pass no aws:SourceArn on to KMS; SNS names the topic in every call of its own.
    """
    stack = cdk.Stack.of(key)
    topics: dict[str, object] = {
        "ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": f"arn:aws:sns:{stack.region}:{stack.account}:*"}
    }
    for publisher in publishers:
        _admit(key, publisher, ["kms:Decrypt", "kms:GenerateDataKey*"], topics)


def grant_to_trails(key: kms.IKey) -> None:
    """Let CloudTrail encrypt the records of trails of this account with `key`; readers decrypt by their own right."""
    stack = cdk.Stack.of(key)
    trails = f"arn:aws:cloudtrail:{stack.region}:{stack.account}:trail/*"
    _admit(
        key,
        "cloudtrail.amazonaws.com",
        ["kms:GenerateDataKey*"],
        {"ArnLike": {"aws:SourceArn": trails, "kms:EncryptionContext:aws:cloudtrail:arn": trails}},
    )
    # CloudTrail sends no encryption context with this one
    _admit(key, "cloudtrail.amazonaws.com", ["kms:DescribeKey"], {"ArnLike": {"aws:SourceArn": trails}})


def grant_to_fargate(key: kms.IKey, *, cluster: str) -> None:
    """Let Fargate encrypt the disks of the tasks of the ECS cluster named `cluster`, in the key's account."""
    tasks = {
        "kms:EncryptionContext:aws:ecs:clusterAccount": cdk.Stack.of(key).account,
        "kms:EncryptionContext:aws:ecs:clusterName": cluster,
    }
    service = "fargate.amazonaws.com"
    _admit(key, service, ["kms:GenerateDataKeyWithoutPlaintext"], {"StringEquals": tasks})
    only_to_read = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}
    _admit(key, service, ["kms:CreateGrant"], {"StringEquals": tasks, **only_to_read})


def _admit(key: kms.IKey, service: str, actions: list[str], conditions: dict[str, object]) -> None:
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[principals.service(service)], actions=actions, resources=["*"], conditions=conditions
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
