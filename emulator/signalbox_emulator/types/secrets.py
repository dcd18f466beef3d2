"""Secrets Manager: secrets and their resource policies."""

import json
from typing import Any

from signalbox_emulator.types.kind import ID, KEYS, VALUE, Call, Kind, Read, TagCalls, Target, prop

JsonObject = dict[str, Any]

_SERVICE = "secretsmanager"
_TEMPLATE = ("SecretStringTemplate", "GenerateStringKey")
_LENGTH = 32
"""Characters of a generated secret when the template does not say."""


def _generated(target: Target, wanted: JsonObject) -> str:
    """Return a new secret string: a random password, within the template's JSON when there is one."""
    options = {name: value for name, value in wanted.items() if name not in _TEMPLATE}
    password = target.send(_SERVICE, "get_random_password", options)["RandomPassword"]
    if "GenerateStringKey" not in wanted:
        return password
    return json.dumps(json.loads(wanted["SecretStringTemplate"]) | {wanted["GenerateStringKey"]: password})


def _create(target: Target) -> str:
    sent = {name: value for name, value in target.properties.items() if name != "GenerateSecretString"}
    if "GenerateSecretString" in target.properties:
        sent["SecretString"] = _generated(target, target.properties["GenerateSecretString"])
    return target.send(_SERVICE, "create_secret", sent)["ARN"]


def _generate_again(target: Target, value: JsonObject) -> None:
    target.client(_SERVICE).put_secret_value(SecretId=target.id, SecretString=_generated(target, value))


def _read_generated(target: Target) -> JsonObject | None:
    """Return what the template asked to generate when the secret has that form, None when not."""
    wanted = target.properties["GenerateSecretString"]
    secret = target.client(_SERVICE).get_secret_value(SecretId=target.id)["SecretString"]
    if "GenerateStringKey" in wanted:
        members = json.loads(secret)
        secret = members.pop(wanted["GenerateStringKey"], "")
        if members != json.loads(wanted["SecretStringTemplate"]):
            return None
    return wanted if len(secret) == int(wanted.get("PasswordLength", _LENGTH)) else None


KINDS = (
    Kind(
        type="AWS::SecretsManager::Secret",
        service=_SERVICE,
        create=_create,
        name="Name",
        name_length=255,
        read=Read("describe_secret", {"SecretId": ID}, "@"),
        reads={
            "GenerateSecretString": _read_generated,
            "SecretString": Read("get_secret_value", {"SecretId": ID}, "SecretString"),
        },
        delete=Call("delete_secret", {"SecretId": ID, "ForceDeleteWithoutRecovery": True}),
        change={"GenerateSecretString": _generate_again},
        modify=Call("update_secret", {"SecretId": ID}),
        replace=frozenset({"Name"}),
        attributes={"Id": lambda target: target.id},
        tags=TagCalls(
            add=Call("tag_resource", {"SecretId": ID, "Tags": VALUE}),
            remove=Call("untag_resource", {"SecretId": ID, "TagKeys": KEYS}),
        ),
    ),
    Kind(
        type="AWS::SecretsManager::ResourcePolicy",
        service=_SERVICE,
        create="put_resource_policy",
        ref=lambda target: target.properties["SecretId"],
        read=Read("get_resource_policy", {"SecretId": prop("SecretId")}, "@"),
        reads={"SecretId": "ARN"},
        delete=Call("delete_resource_policy", {"SecretId": prop("SecretId")}),
        modify=Call("put_resource_policy", {"SecretId": prop("SecretId")}),
        whole=True,
        unread=frozenset({"BlockPublicPolicy"}),
        replace=frozenset({"SecretId"}),
        attributes={"Id": lambda target: target.id},
    ),
)
