"""Cognito user pools: the pool, its domain, resource servers, clients and groups."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target, prop

JsonObject = dict[str, Any]

_SERVICE = "cognito-idp"
_FACTORS = {"SOFTWARE_TOKEN_MFA": "SoftwareTokenMfaConfiguration", "SMS_MFA": "SmsMfaConfiguration"}
"""What a template calls a second factor -> the member of the API's MFA configuration."""


def _set_factors(target: Target, _value: Any) -> None:
    """Set which second factors there are, and whether one is demanded: one call for both properties."""
    factors = {_FACTORS[name]: {"Enabled": True} for name in target.properties.get("EnabledMfas", [])}
    if "SmsMfaConfiguration" in factors:
        factors["SmsMfaConfiguration"] = {"SmsConfiguration": target.properties["SmsConfiguration"]}
    sent = {"UserPoolId": target.id, "MfaConfiguration": target.properties.get("MfaConfiguration", "OFF"), **factors}
    target.send(_SERVICE, "set_user_pool_mfa_config", sent)


def _read_factors(target: Target) -> list[str]:
    found = target.client(_SERVICE).get_user_pool_mfa_config(UserPoolId=target.id)
    return [name for name, member in _FACTORS.items() if found.get(member)]


def _read_schema(target: Target) -> list[JsonObject]:
    """Return the attributes that the template names; the API has more, and says custom: before the template's."""
    pool = target.client(_SERVICE).describe_user_pool(UserPoolId=target.id)["UserPool"]
    found = {attribute["Name"].removeprefix("custom:"): attribute for attribute in pool["SchemaAttributes"]}
    names = [attribute["Name"] for attribute in target.properties["Schema"]]
    return [{**found[name], "Name": name} for name in names if name in found]


def _find(target: Target, operation: str, arguments: JsonObject, path: str) -> Any:
    return target.send(_SERVICE, operation, {"UserPoolId": target.properties["UserPoolId"], **arguments})[path]


KINDS = (
    Kind(
        type="AWS::Cognito::UserPool",
        service=_SERVICE,
        create="create_user_pool",
        ref="UserPool.Id",
        rename={"UserPoolName": "PoolName"},
        name="UserPoolName",
        name_length=128,
        read=Read("describe_user_pool", {"UserPoolId": ID}, "UserPool"),
        reads={
            "UserPoolName": "Name",
            "EnabledMfas": _read_factors,
            "Schema": _read_schema,
        },
        delete=Call("delete_user_pool", {"UserPoolId": ID}),
        after={"EnabledMfas": _set_factors},
        change={"MfaConfiguration": _set_factors},
        modify=Call("update_user_pool", {"UserPoolId": ID}),
        whole=True,
        replace=frozenset({"AliasAttributes", "UsernameAttributes", "UsernameConfiguration"}),
        attributes={
            "Arn": "Arn",
            "ProviderName": lambda target: f"cognito-idp.{target.region}.amazonaws.com/{target.id}",
            "ProviderURL": lambda target: f"https://cognito-idp.{target.region}.amazonaws.com/{target.id}",
            "UserPoolId": "Id",
        },
    ),
    Kind(
        type="AWS::Cognito::UserPoolDomain",
        service=_SERVICE,
        create="create_user_pool_domain",
        ref=lambda target: target.properties["Domain"],
        read=Read("describe_user_pool_domain", {"Domain": ID}, "DomainDescription"),
        delete=Call("delete_user_pool_domain", {"Domain": ID, "UserPoolId": prop("UserPoolId")}),
        modify=Call("update_user_pool_domain", {"Domain": ID, "UserPoolId": prop("UserPoolId")}),
        replace=frozenset({"Domain", "UserPoolId"}),
        attributes={"CloudFrontDistribution": "CloudFrontDistribution"},
    ),
    Kind(
        type="AWS::Cognito::UserPoolResourceServer",
        service=_SERVICE,
        create="create_resource_server",
        ref="ResourceServer.Identifier",
        read=lambda target: _find(target, "describe_resource_server", {"Identifier": target.id}, "ResourceServer"),
        # moto cannot delete one: it goes with its pool.
        delete=lambda target, _: unsent(_SERVICE, "delete_resource_server", "Identifier")(target, target.id),
        replace=frozenset({"Identifier", "UserPoolId"}),
    ),
    Kind(
        type="AWS::Cognito::UserPoolClient",
        service=_SERVICE,
        create="create_user_pool_client",
        ref="UserPoolClient.ClientId",
        name="ClientName",
        name_length=128,
        read=lambda target: _find(target, "describe_user_pool_client", {"ClientId": target.id}, "UserPoolClient"),
        reads={"GenerateSecret": "ClientSecret != null"},
        delete=Call("delete_user_pool_client", {"UserPoolId": prop("UserPoolId"), "ClientId": ID}),
        modify=Call("update_user_pool_client", {"UserPoolId": prop("UserPoolId"), "ClientId": ID}),
        replace=frozenset({"UserPoolId", "GenerateSecret"}),
        attributes={"ClientId": "ClientId", "ClientSecret": "ClientSecret", "Name": "ClientName"},
    ),
    Kind(
        type="AWS::Cognito::UserPoolGroup",
        service=_SERVICE,
        create="create_group",
        ref="Group.GroupName",
        name="GroupName",
        name_length=128,
        read=lambda target: _find(target, "get_group", {"GroupName": target.id}, "Group"),
        delete=Call("delete_group", {"UserPoolId": prop("UserPoolId"), "GroupName": ID}),
        modify=Call("update_group", {"UserPoolId": prop("UserPoolId"), "GroupName": ID}),
        replace=frozenset({"GroupName", "UserPoolId"}),
    ),
)
