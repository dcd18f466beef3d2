"""Keys: rotated, kept, and usable by the services of this account only."""

import json

import pytest

from support.templates import Deployment, Deployments

ACCOUNT = "000000000000"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
CONFIGURATIONS = ("dev", "standard", "lean", "ha-dr")

# conditions by which a service shows that it acts for this account
OWN = {
    "aws:SourceAccount",
    "aws:SourceArn",
    "kms:EncryptionContext:aws:logs:arn",
    "kms:EncryptionContext:aws:ecs:clusterAccount",
    "kms:EncryptionContext:aws:sns:topicArn",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_key_rotates_yearly_and_survives_its_stack(deployments: Deployments, name: str) -> None:
    for key in deployments(name).all("AWS::KMS::Key"):
        if "KeySpec" in key.properties:
            continue  # a key pair: AWS does not rotate those
        assert key.properties["EnableKeyRotation"] is True, key.path
        assert key.properties["RotationPeriodInDays"] == 365, key.path
        assert key.properties["PendingWindowInDays"] == 30, key.path
        assert key.definition["DeletionPolicy"] == key.definition["UpdateReplacePolicy"] == "Retain", key.path


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_whoever_else_may_use_a_key_is_a_service_acting_for_this_account(deployments: Deployments, name: str) -> None:
    for key in deployments(name).all("AWS::KMS::Key"):
        for statement in key.properties["KeyPolicy"]["Statement"]:
            if statement["Principal"] == ROOT or statement["Effect"] == "Deny":
                continue
            said = {name for operator in statement["Condition"].values() for name in operator}

            assert set(statement["Principal"]) == {"Service"}, key.path
            assert said & OWN, (key.path, statement)
            assert ACCOUNT in json.dumps(statement["Condition"]), (key.path, statement)
            assert "kms:*" not in statement["Action"], key.path


def test_fargate_may_use_the_key_for_the_tasks_of_one_cluster(deployment: Deployment) -> None:
    key = deployment.one("AWS::KMS::Key", "signalbox-keys/Operations")
    statements = [
        it for it in key.properties["KeyPolicy"]["Statement"] if it["Principal"] == {"Service": "fargate.amazonaws.com"}
    ]

    assert [it["Action"] for it in statements] == ["kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"]
    for statement in statements:
        assert statement["Condition"]["StringEquals"] == {
            "kms:EncryptionContext:aws:ecs:clusterAccount": ACCOUNT,
            "kms:EncryptionContext:aws:ecs:clusterName": "signalbox",
        }
    assert statements[1]["Condition"]["ForAllValues:StringEquals"] == {"kms:GrantOperations": ["Decrypt"]}


def test_each_key_has_a_name_for_people(deployment: Deployment) -> None:
    aliases = {alias.properties["AliasName"] for alias in deployment.all("AWS::KMS::Alias")}

    assert {f"alias/signalbox-{name}" for name in ("data", "operations", "evidence")} <= aliases


def test_keys_that_are_brought_along_are_used_and_none_is_made(deployments: Deployments) -> None:
    brought = deployments("byo")
    cluster = brought.one("AWS::RDS::DBCluster").properties

    assert "AWS::KMS::Key" not in {it.kind for it in brought.resources if it.name.startswith("signalbox-keys/")}
    assert cluster["KmsKeyId"] == "arn:aws:kms:us-east-1:000000000000:key/11111111-1111-1111-1111-111111111111"
    assert cluster["KmsKeyId"] == brought.one("AWS::SSM::Parameter", "signalbox-keys/DataArn").properties["Value"]
