"""Dynamic references: `{{resolve:ssm:NAME}}` and `{{resolve:secretsmanager:ID:SecretString:KEY}}` in a property.

CloudFormation resolves them when it works on the resource, after every intrinsic function; so do we.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from botocore.exceptions import ClientError

from signalbox_emulator.cloudformation.errors import ValidationError

JsonObject = dict[str, Any]
Clients = Callable[[str], Any]
"""service -> boto3 client of the stack's region"""

_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^}]+)\}\}")
_SECRET = re.compile(r"(arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:[^:]+|[^:]+)(?::(.*))?")
_SSM_NAME = re.compile(r"\{\{resolve:ssm:([^:}]+)")


def resolve_dynamic(value: Any, clients: Clients) -> Any:
    """Return `value` with every dynamic reference replaced; ValidationError when what it names does not exist."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _look_up(found[1], found[2], clients), value)
    if isinstance(value, list):
        return [resolve_dynamic(item, clients) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {key: resolve_dynamic(item, clients) for key, item in cast("JsonObject", value).items()}
    return value


def parameters_named(body: str) -> set[str]:
    """Return the names of the SSM parameters that a template's text resolves."""
    return set(_SSM_NAME.findall(body))


def _look_up(service: str, what: str, clients: Clients) -> str:
    try:
        if service == "ssm":
            return clients("ssm").get_parameter(Name=what)["Parameter"]["Value"]
        if service == "secretsmanager":
            return _secret(what, clients("secretsmanager"))
    except ClientError as error:
        raise ValidationError(f"Could not resolve {{{{resolve:{service}:{what}}}}}: {error}") from error
    raise ValidationError(f"this emulator does not know the dynamic reference {{{{resolve:{service}:…}}}}")


def _secret(what: str, client: Any) -> str:
    """Return ID:SecretString:KEY:STAGE:VERSION of a secret; all but the id may be left out."""
    found = _SECRET.fullmatch(what)
    if found is None:
        raise ValidationError(f"{{{{resolve:secretsmanager:{what}}}}} names no secret")
    member, key, stage, version = ((found[2] or "").split(":") + [""] * 4)[:4]
    if member not in {"", "SecretString"}:
        raise ValidationError(f"{{{{resolve:secretsmanager:{what}}}}}: got {member}, wanted SecretString")
    named = {"VersionStage": stage} if stage else {}
    named |= {"VersionId": version} if version else {}
    secret: str = client.get_secret_value(SecretId=found[1], **named)["SecretString"]
    if not key:
        return secret
    members = json.loads(secret)
    if key not in members:
        raise ValidationError(f"{{{{resolve:secretsmanager:{what}}}}}: the secret has no {key}")
    return str(members[key])
