"""What the reads of `reads.py` are called in IAM, and where each may be allowed: the collector's whole right to look.

The scopes are those of the Service Authorization Reference. `*` stands where it lists no resource type for the action;
elsewhere a scope names the deployment's own resources as far as their names tell them apart.
"""

from collections.abc import Mapping

from signalbox_evidence.live.reads import READS

_PREFIXES = {"elbv2": "elasticloadbalancing"}
_NAMES = {
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}
"""Where IAM's word is not the operation's."""

_ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}
"""No policy is needed for these, and none can take them away."""

_SCOPES = {
    "backup": "arn:aws:backup:*:{account}:backup-vault:*",
    "backup:GetBackupPlan": "arn:aws:backup:*:{account}:backup-plan:*",
    "backup:GetBackupSelection": "arn:aws:backup:*:{account}:backup-plan:*",
    "backup:ListBackupSelections": "arn:aws:backup:*:{account}:backup-plan:*",
    "cloudformation": "arn:aws:cloudformation:*:{account}:stack/{name}-*",
    "ecr": "arn:aws:ecr:*:{account}:repository/*",
    "ecs:DescribeServices": "arn:aws:ecs:*:{account}:service/{name}-*",
    "iam:GetPolicy": "arn:aws:iam::{account}:policy/*",
    "iam:GetPolicyVersion": "arn:aws:iam::{account}:policy/*",
    "iam": "arn:aws:iam::{account}:role/{name}-*",
    "kms": "arn:aws:kms:*:{account}:key/*",
    "logs": "arn:aws:logs:*:{account}:log-group:*",
    "rds:DescribeDBClusterParameters": "arn:aws:rds:*:{account}:cluster-pg:*",
    "rds:DescribeDBClusterSnapshotAttributes": "arn:aws:rds:*:{account}:cluster-snapshot:*",
    "rds:DescribeDBClusterSnapshots": "arn:aws:rds:*:{account}:cluster:* arn:aws:rds:*:{account}:cluster-snapshot:*",
    "rds:DescribeDBClusters": "arn:aws:rds:*:{account}:cluster:*",
    "rds:DescribeDBInstances": "arn:aws:rds:*:{account}:db:*",
    "rds:DescribeDBSubnetGroups": "arn:aws:rds:*:{account}:subgrp:*",
    "s3": "arn:aws:s3:::{name}-*",
    "wafv2:GetWebACLForResource": (
        "arn:aws:elasticloadbalancing:*:{account}:loadbalancer/app/* arn:aws:wafv2:*:{account}:regional/webacl/*"
    ),
}
"""By action, else by service; two with a space between.

CloudFormation begins the names of what it makes with the name of the stack."""


def permissions(account: str, name: str) -> Mapping[str, list[str]]:
    """Return IAM actions by the resource on which they are needed, for the deployment `name` in `account`."""
    found: dict[str, list[str]] = {}
    for operation in sorted(READS.keys() - _ALWAYS_ALLOWED):
        action = action_of(operation)
        service = action.partition(":")[0]
        scope = _SCOPES.get(action, _SCOPES.get(service, "*"))
        for resource in scope.format(account=account, name=name).split():
            found.setdefault(resource, []).append(action)
    return found


def action_of(operation: str) -> str:
    """Return the IAM action of a `service:Operation`."""
    service, _, verb = operation.partition(":")
    return _NAMES.get(operation, f"{_PREFIXES.get(service, service)}:{verb}")
