"""Events of the account that somebody has to hear of. Calls arrive where a trail records them, whoever made it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signalbox_constructs.alarms import Severity, event

_CALL = "AWS API Call via CloudTrail"
_CALLED = {"call": "$.detail.eventName", "by": "$.detail.userIdentity.arn", "from": "$.detail.sourceIPAddress"}
_PAGE, _TICKET = Severity.PAGE, Severity.TICKET


@dataclass(frozen=True, kw_only=True)
class Incident:
    name: str
    meaning: str
    severity: Severity
    pattern: Mapping[str, object]
    told: Mapping[str, str]
    """Words of the message by where the event says them."""


def incidents(database: str) -> Iterator[Incident]:
    """Yield what is told of; `database` is the cluster's identifier."""
    yield from _of_people()
    yield from _of_operations(database)
    yield from _of_detection()


def _of_people() -> Iterator[Incident]:
    calls = ["ScheduleKeyDeletion", "DisableKey", "DisableKeyRotation"]
    yield Incident(
        name="KeyAtRisk",
        meaning="A KMS key was disabled, is to be deleted, or no longer rotates.",
        severity=_PAGE,
        pattern=event("aws.kms", _CALL, {"eventName": calls}),
        told={**_CALLED, "key": "$.detail.requestParameters.keyId"},
    )
    yield Incident(
        name="RootUse",
        meaning="Somebody works as the root user of the account.",
        severity=_PAGE,
        pattern={
            "detail-type": [_CALL, "AWS Console Sign In via CloudTrail"],
            "detail": {"userIdentity": {"type": ["Root"], "invokedBy": [{"exists": False}]}},
        },
        told=_CALLED,
    )
    rules = ("AuthorizeSecurityGroup", "RevokeSecurityGroup")
    changes = [f"{verb}{way}" for verb in rules for way in ("Ingress", "Egress")]
    yield Incident(
        name="FirewallChanged",
        meaning="A security group was changed by hand, not by a deployment.",
        severity=_PAGE,
        pattern=event(
            "aws.ec2",
            _CALL,
            {
                "eventName": [*changes, "ModifySecurityGroupRules"],
                "sourceIPAddress": [{"anything-but": ["cloudformation.amazonaws.com"]}],
            },
        ),
        told={**_CALLED, "group": "$.detail.requestParameters.groupId"},
    )
    yield Incident(
        name="TrailChanged",
        meaning="The record of who did what was stopped, deleted or narrowed.",
        severity=_PAGE,
        pattern=event(
            "aws.cloudtrail",
            _CALL,
            {"eventName": ["StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"]},
        ),
        told=_CALLED,
    )


def _of_operations(database: str) -> Iterator[Incident]:
    for name, kind, meaning in (
        ("BackupFailed", "Backup Job State Change", "A backup did not come about."),
        ("CopyFailed", "Copy Job State Change", "A backup was not copied."),
        ("RestoreFailed", "Restore Job State Change", "A restore, or the test of one, failed."),
    ):
        for_status = "status" if name == "RestoreFailed" else "state"
        yield Incident(
            name=name,
            meaning=meaning,
            severity=_PAGE,
            pattern=event("aws.backup", kind, {for_status: ["FAILED", "ABORTED", "EXPIRED"]}),
            told={"state": f"$.detail.{for_status}", "why": "$.detail.statusMessage", "at": "$.time"},
        )
    yield Incident(
        name="DatabaseEvent",
        meaning="The database failed over, failed, or is in need.",
        severity=_PAGE,
        pattern=event(
            "aws.rds",
            ["RDS DB Cluster Event", "RDS DB Instance Event"],
            {
                "EventCategories": ["failover", "failure", "low storage"],
                "SourceIdentifier": [{"prefix": database}],
            },
        ),
        told={"what": "$.detail.Message", "where": "$.detail.SourceIdentifier"},
    )
    yield Incident(
        name="RolloutFailed",
        meaning="A roll-out of the service failed and went back.",
        severity=_TICKET,
        pattern=event("aws.ecs", "ECS Deployment State Change", {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}),
        told={"why": "$.detail.reason", "service": "$.resources[0]"},
    )


def _of_detection() -> Iterator[Incident]:
    """Where the organisation runs these services, their findings appear in the account all the same."""
    yield Incident(
        name="Threat",
        meaning="GuardDuty found what looks like an attack.",
        severity=_PAGE,
        pattern=event("aws.guardduty", "GuardDuty Finding", {"severity": [{"numeric": [">=", 4]}]}),
        told={"finding": "$.detail.type", "severity": "$.detail.severity", "title": "$.detail.title"},
    )
    finding = {"Severity": {"Label": ["HIGH", "CRITICAL"]}, "Workflow": {"Status": ["NEW"]}, "RecordState": ["ACTIVE"]}
    yield Incident(
        name="Finding",
        meaning="Security Hub found a grave weakness.",
        severity=_TICKET,
        pattern=event("aws.securityhub", "Security Hub Findings - Imported", {"findings": finding}),
        told={"title": "$.detail.findings[0].Title", "resource": "$.detail.findings[0].Resources[0].Id"},
    )
