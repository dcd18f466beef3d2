"""Where moto itself is changed. Each patch stands in the capability list, since what it answers is ours and not moto's."""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def apply() -> None:
    """Change moto in this process. Calling it again changes nothing."""
    FakeBucket.get_permission = _unconditional_permission


def _unconditional_permission(bucket: Any, action: str, resource: str) -> PermissionResult:
    """Decide by the statements without a condition.

    moto ignores conditions, so a statement that denies what is not sent over TLS would deny everything.
    """
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy: dict[str, Any] = json.loads(bucket.policy)
    statements: Any = policy["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    policy["Statement"] = [statement for statement in listed if "Condition" not in statement]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)
