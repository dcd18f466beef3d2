"""Load balancers as Elastic Load Balancing describes them: all those in the VPCs that the stacks made, whoever made
them, and their own.
"""

from typing import Any  # API answers are free JSON

from signalbox_evidence.facts.edge import (
    Action,
    Firewall,
    Listener,
    LoadBalancer,
    LoadBalancerProtection,
    TargetGroup,
    read_acl_rules,
)
from signalbox_evidence.facts.world import Subject
from signalbox_evidence.live.deployment import Deployment, complete

Row = dict[str, Any]

_PREFIX = "AWS::ElasticLoadBalancingV2"


def _balancers(deployment: Deployment) -> list[Row]:
    vpc_ids = deployment.made("AWS::EC2::VPC")
    declared = deployment.ids(f"{_PREFIX}::LoadBalancer")
    rows = [
        row
        for row in deployment.probe.rows("elbv2:DescribeLoadBalancers", "LoadBalancers")
        if row.get("VpcId") in vpc_ids or row["LoadBalancerArn"] in declared
    ]
    complete("load balancers", declared, [row["LoadBalancerArn"] for row in rows])
    return rows


def _subject(kind: str, arn: str) -> Subject:
    return Subject(type=f"{_PREFIX}::{kind}", id=arn, arn=arn)


def load_balancers(deployment: Deployment) -> list[LoadBalancer]:
    return [
        LoadBalancer(
            subject=_subject("LoadBalancer", row["LoadBalancerArn"]),
            subnets=tuple(sorted(zone["SubnetId"] for zone in row.get("AvailabilityZones", []))),
        )
        for row in _balancers(deployment)
    ]


def protections(deployment: Deployment) -> list[LoadBalancerProtection]:
    found: list[LoadBalancerProtection] = []
    for balancer in _balancers(deployment):
        arn = balancer["LoadBalancerArn"]
        rows = deployment.probe.rows("elbv2:DescribeLoadBalancerAttributes", "Attributes", LoadBalancerArn=arn)
        values: dict[str, str] = {row["Key"]: row["Value"] for row in rows}
        found.append(
            LoadBalancerProtection(
                load_balancer=_subject("LoadBalancer", arn),
                deletion_protection=_boolean(values.get("deletion_protection.enabled")),
                drops_invalid_headers=_boolean(values.get("routing.http.drop_invalid_header_fields.enabled")),
                desync_mode=values.get("routing.http.desync_mitigation_mode"),
            )
        )
    return found


def _boolean(value: str | None) -> bool | None:
    return None if value is None else value == "true"


def firewalls(deployment: Deployment) -> list[Firewall]:
    found: list[Firewall] = []
    for balancer in _balancers(deployment):
        arn = balancer["LoadBalancerArn"]
        pages = deployment.probe.read("wafv2:GetWebACLForResource", ["WAFNonexistentItemException"], ResourceArn=arn)
        acl: Row | None = pages[0].get("WebACL") if pages else None
        groups, limited = read_acl_rules(acl.get("Rules", [])) if acl else (None, None)
        found.append(
            Firewall(
                load_balancer=_subject("LoadBalancer", arn),
                acl=acl["ARN"] if acl else None,
                groups=groups,
                rate_limited=limited,
            )
        )
    return found


def _actions(rows: list[Row]) -> list[Action]:
    found: list[Action] = []
    for row in rows:
        redirect: Row = row.get("RedirectConfig") or {}
        found.append(
            Action(
                type=row["Type"],
                protocol=str(redirect.get("Protocol", "")),
                port=str(redirect.get("Port", "")),
                code=str(redirect.get("StatusCode", "")),
            )
        )
    return found


def listeners(deployment: Deployment) -> list[Listener]:
    found: list[Listener] = []
    probe = deployment.probe
    for balancer in _balancers(deployment):
        for row in probe.rows("elbv2:DescribeListeners", "Listeners", LoadBalancerArn=balancer["LoadBalancerArn"]):
            rules = probe.rows("elbv2:DescribeRules", "Rules", ListenerArn=row["ListenerArn"])
            actions = _actions(row.get("DefaultActions", []))
            actions += [action for rule in rules if not rule.get("IsDefault") for action in _actions(rule["Actions"])]
            found.append(
                Listener(
                    subject=_subject("Listener", row["ListenerArn"]),
                    load_balancer_id=row.get("LoadBalancerArn"),
                    port=row.get("Port"),
                    protocol=row.get("Protocol"),
                    policy=row.get("SslPolicy"),
                    actions=tuple(actions),
                )
            )
    complete("listeners", deployment.ids(f"{_PREFIX}::Listener"), [item.subject.id for item in found])
    return found


def target_groups(deployment: Deployment) -> list[TargetGroup]:
    vpc_ids = deployment.made("AWS::EC2::VPC")
    declared = deployment.ids(f"{_PREFIX}::TargetGroup")
    rows = [
        row
        for row in deployment.probe.rows("elbv2:DescribeTargetGroups", "TargetGroups")
        if row.get("VpcId") in vpc_ids or row["TargetGroupArn"] in declared
    ]
    complete("target groups", declared, [row["TargetGroupArn"] for row in rows])
    return [
        TargetGroup(
            subject=_subject("TargetGroup", row["TargetGroupArn"]),
            protocol=row.get("Protocol"),
            health_protocol=row.get("HealthCheckProtocol"),
        )
        for row in rows
    ]
