"""Identity: nobody signs up, everybody has a second factor, and the pool is not lost with its stack."""

import json
from collections.abc import Callable

import pytest

from support.templates import Deployment

POOL = "AWS::Cognito::UserPool"
CLIENT = "AWS::Cognito::UserPoolClient"

Deployments = Callable[[str], Deployment]


@pytest.fixture(params=("dev", "standard", "lean", "ha-dr"))
def pooled(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    """Every configuration with a pool of its own in turn."""
    return deployments(request.param)


def test_users_are_made_by_administrators_only(pooled: Deployment) -> None:
    assert pooled.one(POOL).properties["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_a_second_factor_is_demanded_of_everybody_and_is_no_text_message(pooled: Deployment) -> None:
    pool = pooled.one(POOL).properties

    assert pool["MfaConfiguration"] == "ON"
    assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
    assert "SmsConfiguration" not in pool


def test_passwords_are_strong_and_an_account_is_recovered_by_mail_alone(pooled: Deployment) -> None:
    pool = pooled.one(POOL).properties
    policy = pool["Policies"]["PasswordPolicy"]

    assert policy["MinimumLength"] >= 14
    assert all(policy[f"Require{kind}"] is True for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols"))
    assert policy["TemporaryPasswordValidityDays"] <= 7
    assert [it["Name"] for it in pool["AccountRecoverySetting"]["RecoveryMechanisms"]] == ["verified_email"]
    assert pool["UserAttributeUpdateSettings"]["AttributesRequireVerificationBeforeUpdate"] == ["email"]


def test_the_pool_outlives_its_stack_and_every_mistake(pooled: Deployment) -> None:
    pool = pooled.one(POOL)
    stack = pooled.manifest["artifacts"]["signalbox-identity"]["properties"]

    assert pool.properties["DeletionProtection"] == "ACTIVE"
    assert pool.definition["DeletionPolicy"] == pool.definition["UpdateReplacePolicy"] == "Retain"
    assert stack["terminationProtection"] is True


def test_the_tier_is_the_one_that_the_documentation_names(pooled: Deployment) -> None:
    assert pooled.one(POOL).properties["UserPoolTier"] == "ESSENTIALS"


def test_the_client_of_sdk_and_cli_has_no_secret_and_one_flow(pooled: Deployment) -> None:
    client = pooled.one(CLIENT)
    properties = client.properties

    assert properties["GenerateSecret"] is False
    assert properties["AllowedOAuthFlows"] == ["code"]
    assert properties["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]  # no password past the login pages
    assert properties["CallbackURLs"] == ["http://localhost:53593/callback"]
    assert properties["PreventUserExistenceErrors"] == "ENABLED"
    assert properties["EnableTokenRevocation"] is True
    assert properties["AccessTokenValidity"] <= 60
    assert properties["TokenValidityUnits"]["AccessToken"] == "minutes"


def test_access_tokens_are_for_this_control_plane(pooled: Deployment) -> None:
    api = pooled.one("AWS::Cognito::UserPoolResourceServer").properties
    (scope,) = api["Scopes"]

    assert api["Identifier"] == "https://signalbox.example.com"
    wanted = f"{api['Identifier']}/{scope['ScopeName']}"
    assert wanted in pooled.one(CLIENT).properties["AllowedOAuthScopes"]


def test_the_stack_tells_issuer_and_client(pooled: Deployment) -> None:
    outputs = pooled.templates["signalbox-identity"]["Outputs"]

    assert "https://cognito-idp.us-east-1.amazonaws.com/" in json.dumps(outputs["Issuer"]["Value"])
    client = pooled.target_of(outputs["ClientId"]["Value"], "signalbox-identity")
    assert client == pooled.one(CLIENT)


def test_with_an_issuer_of_ones_own_there_is_no_pool_and_no_stack(deployments: Deployments) -> None:
    byo = deployments("byo")

    assert "signalbox-identity" not in byo.templates
    assert not [it for it in byo.resources if it.kind.startswith("AWS::Cognito")]
