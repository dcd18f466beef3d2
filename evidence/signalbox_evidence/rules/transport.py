"""TLS: encryption in transit."""

from collections.abc import Iterator

from signalbox_evidence.catalogue import Mode, Params
from signalbox_evidence.facts.compute import Container, Service
from signalbox_evidence.facts.database import ForcedTls
from signalbox_evidence.facts.edge import Action, Listener, LoadBalancer, LoadBalancerProtection, TargetGroup
from signalbox_evidence.facts.world import Fact, Unknown, World
from signalbox_evidence.finding import Attribute, Finding, expect, is_true

_LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
_TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
_TLS = ("HTTPS", "TLS")
_PLAIN_PORT = 80
_REDIRECT = Action("redirect", protocol="HTTPS", port="443", code="HTTP_301")


def _is_plain(listener: Listener) -> bool:
    """The one listener that may speak HTTP: TLS-02 says what it may do."""
    return listener.protocol == "HTTP" and listener.port == _PLAIN_PORT


def edge_speaks_modern_tls(world: World, params: Params) -> Iterator[Finding]:
    policies = params.words("policies")
    listeners = world.all(Listener)
    for balancer in world.all(LoadBalancer):
        own = [item for item in listeners if item.load_balancer_id == balancer.subject.id and not _is_plain(item)]
        ports = [f"{item.protocol} {item.port}" for item in own]
        attribute = Attribute(_BALANCER, "Listeners")
        yield expect(balancer.subject, attribute, ports, "at least one TLS listener", bool)
    for listener in listeners:
        if _is_plain(listener):
            continue
        protocol = Attribute(_LISTENER, "Protocol")
        yield expect(listener.subject, protocol, listener.protocol, "HTTPS or TLS", lambda it: it in _TLS)
        policy = Attribute(_LISTENER, "SslPolicy")
        yield expect(listener.subject, policy, listener.policy, f"one of {policies}", lambda it: it in policies)


def plain_http_only_redirects(world: World, _: Params) -> Iterator[Finding]:
    for listener in world.all(Listener):
        if _is_plain(listener):
            attribute = Attribute(_LISTENER, "DefaultActions")
            wanted = "redirect HTTPS 443 HTTP_301 alone, in every rule"
            yield expect(listener.subject, attribute, listener.actions, wanted, lambda it: set(it) == {_REDIRECT})


def targets_are_reached_by_tls(world: World, _: Params) -> Iterator[Finding]:
    for group in world.all(TargetGroup):
        for name, value in (("Protocol", group.protocol), ("HealthCheckProtocol", group.health_protocol)):
            yield expect(group.subject, Attribute(_TARGETS, name), value, "HTTPS or TLS", lambda it: it in _TLS)


def _ssl_mode(container: Container) -> Fact[str]:
    environment = container.environment
    if environment is None or isinstance(environment, Unknown):
        return environment
    return next((variable.value for variable in environment if variable.name == "PGSSLMODE"), None)


def database_refuses_plaintext(world: World, _: Params) -> Iterator[Finding]:
    for tls in world.all(ForcedTls):
        attribute = Attribute("AWS::RDS::DBClusterParameterGroup", "Parameters.rds.force_ssl")
        yield expect(tls.cluster, attribute, tls.force_ssl, "1", lambda it: it == "1")
        if world.mode is Mode.LIVE:
            status = Attribute("AWS::RDS::DBCluster", "DBClusterParameterGroupStatus")
            yield expect(tls.cluster, status, tls.in_sync, "in-sync on every member", is_true)
    served = {service.task_definition for service in world.all(Service)}
    for container in world.all(Container):
        if container.task_definition in served:
            attribute = Attribute("AWS::ECS::TaskDefinition", "ContainerDefinitions.Environment")
            mode = _ssl_mode(container)
            yield expect(container.subject, attribute, mode, "PGSSLMODE verify-full", lambda it: it == "verify-full")


def edge_drops_broken_requests(world: World, params: Params) -> Iterator[Finding]:
    modes = params.words("desync_modes")
    for it in world.all(LoadBalancerProtection):
        headers = Attribute(_BALANCER, "routing.http.drop_invalid_header_fields.enabled")
        yield expect(it.load_balancer, headers, it.drops_invalid_headers, "true", is_true)
        desync = Attribute(_BALANCER, "routing.http.desync_mitigation_mode")
        yield expect(it.load_balancer, desync, it.desync_mode, f"one of {modes}", lambda mode: mode in modes)


RULES = {
    "TLS-01": edge_speaks_modern_tls,
    "TLS-02": plain_http_only_redirects,
    "TLS-03": targets_are_reached_by_tls,
    "TLS-04": database_refuses_plaintext,
    "TLS-08": edge_drops_broken_requests,
}
