"""Load balancers, listeners and target groups as the template writes them."""

from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.edge import Action, Listener, LoadBalancer, LoadBalancerProtection, TargetGroup
from signalbox_evidence.facts.world import Fact, Unknown
from signalbox_evidence.template.resources import Resource, Resources, boolean

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
    key = "deletion_protection.enabled"
    return [
        LoadBalancerProtection(
            load_balancer=balancer.subject, deletion_protection=boolean(_attribute(balancer, key), balancer.id)
        )
        for balancer in resources.of(_LOAD_BALANCER)
    ]


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
