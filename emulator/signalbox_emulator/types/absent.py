"""Types whose API moto does not have at all: the stack holds them, and nothing else does.

Their properties are held against the input of the real create call, so a wrong one is refused by name. Nothing is
stored: reading such a resource through its service fails, and the capability list names the type.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from signalbox_emulator.types.kind import Kind, Target

_CODE = 8


def absent(
    kind_type: str,
    service: str,
    operation: str,
    *,
    physical_id: str,
    rename: Mapping[str, str] | None = None,
    apart: Mapping[str, Callable[[Target, Any], None]] | None = None,
    name: str = "",
    replace: frozenset[str] = frozenset(),
    attributes: Mapping[str, Callable[[Target], object]] | None = None,
) -> Kind:
    """Return the row of a type whose properties `operation` would take.

    `physical_id` is a pattern with {name} (the property `name`), {code} (random), {region} and {account}; `apart` are
    the properties that other calls would take.
    """
    members, others = dict(rename or {}), dict(apart or {})

    def check(target: Target) -> None:
        own = {members.get(key, key): value for key, value in target.properties.items() if key not in others}
        target.fitted(service, operation, own)

    def create(target: Target) -> str:
        check(target)
        code = uuid4().hex[:_CODE]
        named = target.properties.get(name, "")
        return physical_id.format(name=named, code=code, region=target.region, account=target.account)

    return Kind(
        type=kind_type,
        service=service,
        create=create,
        delete=None,
        rename=members,
        after=others,
        modify=check,
        replace=replace,
        name=name,
        attributes=attributes or {},
    )


def unsent(service: str, operation: str, member: str = "") -> Callable[[Target, Any], None]:
    """Return the step for a property whose call moto lacks: its value is held against the input, and not sent."""

    def step(target: Target, value: Any) -> None:
        target.fitted(service, operation, value if member == "" else {member: value})

    return step


def _check_firewall_rules(target: Target, rules: Any) -> None:
    for rule in rules:
        target.fitted("route53resolver", "create_firewall_rule", rule)


def _check_standard(target: Target, arn: Any) -> None:
    target.fitted("securityhub", "batch_enable_standards", {"StandardsSubscriptionRequests": [{"StandardsArn": arn}]})


def _id(target: Target) -> str:
    return target.id


KINDS = (
    absent(
        "AWS::AccessAnalyzer::Analyzer",
        "accessanalyzer",
        "create_analyzer",
        physical_id="arn:aws:access-analyzer:{region}:{account}:analyzer/{name}",
        rename={"AnalyzerConfiguration": "configuration"},
        name="AnalyzerName",
        replace=frozenset({"AnalyzerName", "Type"}),
        attributes={"Arn": _id},
    ),
    absent(
        "AWS::Backup::BackupSelection",
        "backup",
        "create_backup_selection",
        physical_id="{code}-selection",
        replace=frozenset({"BackupPlanId", "BackupSelection"}),
        attributes={"Id": _id, "SelectionId": _id},
    ),
    absent(
        "AWS::CloudWatch::CompositeAlarm",
        "cloudwatch",
        "put_composite_alarm",
        physical_id="{name}",
        name="AlarmName",
        replace=frozenset({"AlarmName"}),
        attributes={"Arn": lambda target: f"arn:aws:cloudwatch:{target.region}:{target.account}:alarm:{target.id}"},
    ),
    absent(
        "AWS::Logs::QueryDefinition",
        "logs",
        "put_query_definition",
        physical_id="{code}-query",
        attributes={"QueryDefinitionId": _id},
    ),
    absent(
        "AWS::Route53Resolver::FirewallDomainList",
        "route53resolver",
        "create_firewall_domain_list",
        physical_id="rslvr-fdl-{code}",
        apart={"Domains": unsent("route53resolver", "update_firewall_domains", "Domains")},
        attributes={"Id": _id},
    ),
    absent(
        "AWS::Route53Resolver::FirewallRuleGroup",
        "route53resolver",
        "create_firewall_rule_group",
        physical_id="rslvr-frg-{code}",
        apart={"FirewallRules": _check_firewall_rules},
        attributes={"Id": _id},
    ),
    absent(
        "AWS::Route53Resolver::FirewallRuleGroupAssociation",
        "route53resolver",
        "associate_firewall_rule_group",
        physical_id="rslvr-frgassoc-{code}",
        replace=frozenset({"FirewallRuleGroupId", "VpcId"}),
        attributes={"Id": _id},
    ),
    absent(
        "AWS::SecurityHub::Standard",
        "securityhub",
        "batch_enable_standards",
        physical_id="arn:aws:securityhub:{region}:{account}:subscription/{code}",
        apart={"StandardsArn": _check_standard},
        replace=frozenset({"StandardsArn"}),
        attributes={"StandardsSubscriptionArn": _id},
    ),
)
