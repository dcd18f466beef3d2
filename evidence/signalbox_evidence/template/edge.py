"""Load balancers, listeners and target groups as the template writes them."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.edge import (
    Action,
    Firewall,
    Listener,
    LoadBalancer,
    LoadBalancerProtection,
    TargetGroup,
    read_acl_rules,
)
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.resources import Resource, Resources, boolean, text

_LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def load_balancers(resources: Resources) -> list[LoadBalancer]:
    return [
        LoadBalancer(subject=balancer.subject, subnets=balancer.texts("Subnets"))
        for balancer in resources.of(_LOAD_BALANCER)
    ]


def _attribute(balancer: Resource, key: str) -> Any:
    attributes = balancer.get("LoadBalancerAttributes")
    if attributes is None or isinstance(attributes, Unknown):
        return attributes
    return next((row.get("Value") for row in attributes if row.get("Key") == key), None)


def protections(resources: Resources) -> list[LoadBalancerProtection]:
    return [
        LoadBalancerProtection(
            load_balancer=it.subject,
            deletion_protection=boolean(_attribute(it, "deletion_protection.enabled"), it.id),
            drops_invalid_headers=boolean(_attribute(it, "routing.http.drop_invalid_header_fields.enabled"), it.id),
            desync_mode=text(_attribute(it, "routing.http.desync_mitigation_mode")),
        )
        for it in resources.of(_LOAD_BALANCER)
    ]


def firewalls(resources: Resources) -> list[Firewall]:
    found: list[Firewall] = []
    for balancer in resources.of(_LOAD_BALANCER):
        names = [
            it.text("WebACLArn")
            for it in resources.of("AWS::WAFv2::WebACLAssociation")
            if it.text("ResourceArn") == balancer.id
        ]
        acl = resources.by_id(names[0]) if names and isinstance(names[0], str) else None
        rules = acl.get("Rules") if acl else None
        groups: Fact[tuple[str, ...]]
        limited: Fact[bool]
        if rules is None or isinstance(rules, Unknown):
            groups = limited = rules
        else:
            groups, limited = read_acl_rules(rules)
        found.append(
            Firewall(
                load_balancer=balancer.subject, acl=names[0] if names else None, groups=groups, rate_limited=limited
            )
        )
    return found


def _actions(written: Any) -> list[Action]:
    found: list[Action] = []
    for row in cast("list[dict[str, Any]]", written or []):
        redirect = row.get("RedirectConfig", {})
        found.append(
            Action(
                type=str(row.get("Type")),
                protocol=str(redirect.get("Protocol", "")),
                port=str(redirect.get("Port", "")),
                code=str(redirect.get("StatusCode", "")),
            )
        )
    return found


def _all_actions(resources: Resources, listener: Resource) -> Fact[tuple[Action, ...]]:
    defaults = listener.get("DefaultActions")
    if isinstance(defaults, Unknown):
        return defaults
    found = _actions(defaults)
    for rule in resources.of("AWS::ElasticLoadBalancingV2::ListenerRule"):
        target, actions = rule.text("ListenerArn"), rule.get("Actions")
        if isinstance(target, Unknown):
            return target  # it may be this listener's
        if target == listener.id:
            if isinstance(actions, Unknown):
                return actions
            found += _actions(actions)
    return tuple(found)


def listeners(resources: Resources) -> list[Listener]:
    return [
        Listener(
            subject=listener.subject,
            load_balancer_id=listener.text("LoadBalancerArn"),
            port=listener.number("Port"),
            protocol=listener.text("Protocol"),
            policy=listener.text("SslPolicy"),
            actions=_all_actions(resources, listener),
        )
        for listener in resources.of("AWS::ElasticLoadBalancingV2::Listener")
    ]


def target_groups(resources: Resources) -> list[TargetGroup]:
    return [
        TargetGroup(
            subject=group.subject, protocol=group.text("Protocol"), health_protocol=group.text("HealthCheckProtocol")
        )
        for group in resources.of("AWS::ElasticLoadBalancingV2::TargetGroup")
    ]
