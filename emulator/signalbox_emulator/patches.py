"""Where moto itself is changed. What is ours and not moto's in its answers stands in the capability list."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

import moto.core.utils
from botocore.loaders import Loader
from moto import backends
from moto.cognitoidp import models as users
from moto.cognitoidp.utils import generate_id
from moto.elbv2.models import FakeLoadBalancer
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def apply(models: Loader) -> None:
    """Change moto in this process; it takes the services' models from `models`, which may have them already."""
    moto.core.utils.create_loader = lambda: models
    backends.list_of_moto_modules = _modules
    users.generate_id = _short_id
    FakeBucket.get_permission = _unconditional_permission
    FakeBucket._log_permissions_enabled_policy = staticmethod(_may_be_permitted_later)  # noqa: SLF001 - that is the patch
    FakeLoadBalancer.VALID_ATTRS |= {"health_check_logs.s3.bucket", "health_check_logs.s3.prefix"}


_list_modules = backends.list_of_moto_modules


@cache
def _modules() -> Iterable[str]:
    """Return the services that moto has: it would look through its folder for each request."""
    return frozenset(_list_modules())


def _short_id(strategy: str | None, *what: Any) -> str:
    """Return an id as long as AWS's: 9 characters of a pool in a region, 26 of a client in a pool."""
    return generate_id(strategy, *what)[: 26 if "_" in str(what[0]) else 9]


def _unconditional_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """Decide by the statements without a condition.

    moto ignores conditions, so a statement that denies what is not sent over TLS would deny everything.
    """
    if self.policy is None:
        return PermissionResult.NEUTRAL
    policy: dict[str, Any] = json.loads(self.policy)
    said = policy["Statement"]
    statements = cast("list[Any]", said if isinstance(said, list) else [said])
    policy["Statement"] = [statement for statement in statements if "Condition" not in statement]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


def _may_be_permitted_later(target_bucket: FakeBucket, target_prefix: str | None) -> bool:  # noqa: ARG001 - moto's names
    """Let a bucket name where its access logs go before that bucket's policy admits them, as S3 does.

    The policy names the bucket that logs, so in a template it can only come after it.
    """
    return True
