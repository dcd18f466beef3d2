"""KMS keys as the template writes them. A key that the template declares is customer-managed by construction."""

from signalbox_evidence.facts.keys import Key, KeyDeletion, KeyPolicy, KeyRotation
from signalbox_evidence.facts.policy import Statement, statements
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.resources import Resource, Resources

_KEY = "AWS::KMS::Key"


def statements_of(resource: Resource, path: str) -> Fact[tuple[Statement, ...]]:
    """The statements of the policy document at `path`; None when there is none."""
    document = resource.get(path)
    return document if document is None or isinstance(document, Unknown) else statements(document)


def _state(key: Resource) -> Fact[str]:
    enabled = key.boolean("Enabled")
    if enabled is None or isinstance(enabled, Unknown):
        return enabled
    return "Enabled" if enabled else "Disabled"


def _symmetric(key: Resource) -> Fact[bool]:
    spec = key.text("KeySpec")
    return spec if spec is None or isinstance(spec, Unknown) else spec == "SYMMETRIC_DEFAULT"


def keys(resources: Resources) -> list[Key]:
    return [
        Key(subject=key.subject, manager="CUSTOMER", state=_state(key), symmetric=_symmetric(key))
        for key in resources.of(_KEY)
    ] + [
        Key(subject=subject, manager=given, state=given, symmetric=given)
        for subject, given in resources.brought_along(_KEY)
    ]


def rotations(resources: Resources) -> list[KeyRotation]:
    return [
        KeyRotation(
            key=key.subject, on=key.boolean("EnableKeyRotation"), period_days=key.number("RotationPeriodInDays")
        )
        for key in resources.of(_KEY)
        if _symmetric(key) is not False  # KMS rotates symmetric keys only
    ] + [KeyRotation(key=subject, on=given, period_days=given) for subject, given in resources.brought_along(_KEY)]


def deletions(resources: Resources) -> list[KeyDeletion]:
    return [
        KeyDeletion(
            key=key.subject,
            window_days=key.number("PendingWindowInDays"),
            on_delete=key.attribute("DeletionPolicy"),
            on_replace=key.attribute("UpdateReplacePolicy"),
        )
        for key in resources.of(_KEY)
    ] + [
        KeyDeletion(key=subject, window_days=given, on_delete=given, on_replace=given)
        for subject, given in resources.brought_along(_KEY)
    ]


def policies(resources: Resources) -> list[KeyPolicy]:
    return [KeyPolicy(key=key.subject, statements=statements_of(key, "KeyPolicy")) for key in resources.of(_KEY)] + [
        KeyPolicy(key=subject, statements=given) for subject, given in resources.brought_along(_KEY)
    ]
