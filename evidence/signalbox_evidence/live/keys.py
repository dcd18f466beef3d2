"""KMS keys of the stacks as KMS describes them."""

import json
from collections.abc import Iterator
from typing import Any  # API answers are free JSON

from signalbox_evidence.facts.keys import Key, KeyPolicy, KeyRotation
from signalbox_evidence.facts.policy import statements
from signalbox_evidence.facts.world import Subject
from signalbox_evidence.live.deployment import Deployment


def _described(deployment: Deployment) -> Iterator[tuple[Subject, dict[str, Any]]]:
    for name in deployment.ids("AWS::KMS::Key"):
        for page in deployment.probe.read("kms:DescribeKey", KeyId=name):
            row = page["KeyMetadata"]
            yield Subject(type="AWS::KMS::Key", id=row["KeyId"], arn=row["Arn"]), row


def keys(deployment: Deployment) -> list[Key]:
    return [
        Key(
            subject=subject,
            manager=row.get("KeyManager"),
            state=row.get("KeyState"),
            symmetric=row.get("KeySpec") == "SYMMETRIC_DEFAULT",
        )
        for subject, row in _described(deployment)
    ]


def rotations(deployment: Deployment) -> list[KeyRotation]:
    found: list[KeyRotation] = []
    for subject, row in _described(deployment):
        if row.get("KeySpec") == "SYMMETRIC_DEFAULT":  # KMS rotates symmetric keys only
            for page in deployment.probe.read("kms:GetKeyRotationStatus", KeyId=subject.id):
                period = page.get("RotationPeriodInDays")
                found.append(KeyRotation(key=subject, on=page.get("KeyRotationEnabled"), period_days=period))
    return found


def policies(deployment: Deployment) -> list[KeyPolicy]:
    return [
        KeyPolicy(key=subject, statements=statements(json.loads(page["Policy"])))
        for subject, _ in _described(deployment)
        for page in deployment.probe.read("kms:GetKeyPolicy", KeyId=subject.id, PolicyName="default")
    ]
