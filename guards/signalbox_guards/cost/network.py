"""Load balancers, gateways, endpoints, addresses, names."""

from typing import Any, cast  # property values are free JSON

from signalbox_guards.canonical import Json
from signalbox_guards.cost.bill import Bill, Resource
from signalbox_guards.errors import BadInput

GROUP = "Network"


def _count(value: Any) -> int:
    return len(cast("list[Any]", value)) if isinstance(value, list) else 1


def price_load_balancer(bill: Bill, balancer: Resource) -> None:
    """Hours and capacity units; a public address in each zone when it faces the internet."""
    kind = balancer.properties.get("Type", "application")
    names = {"application": ("alb_hour", "lcu_hour"), "network": ("nlb_hour", "nlcu_hour")}
    if kind not in names:
        raise BadInput(f"{balancer.address}: Type: wanted application or network, got {kind!r}")
    hour, unit = names[kind]
    hours = bill.assumed("hours")
    bill.add(GROUP, "Load balancer", f"elb/{hour}", hours)
    bill.add(GROUP, "Load balancer capacity units", f"elb/{unit}", bill.assumed("lcu") * hours)
    bill.add(GROUP, "Traffic between zones", "ec2/cross_zone_gb", bill.assumed("cross_zone_gb"))
    if balancer.properties.get("Scheme", "internet-facing") == "internet-facing":
        subnets = balancer.properties.get("Subnets") or balancer.properties.get("SubnetMappings", [])
        bill.add(GROUP, "Public IPv4 addresses", "vpc/ipv4_hour", _count(subnets) * hours)
        bill.add(GROUP, "Traffic to the internet", "ec2/internet_out_gb", bill.assumed("internet_out_gb"))


def price_nat(bill: Bill, _gateway: Resource) -> None:
    """Its public address is priced as the elastic IP."""
    bill.add(GROUP, "NAT gateways", "vpc/nat_hour", bill.assumed("hours"))
    bill.add(GROUP, "NAT traffic", "vpc/nat_gb", bill.assumed("nat_gb"))


def price_address(bill: Bill, _address: Resource) -> None:
    bill.add(GROUP, "Public IPv4 addresses", "vpc/ipv4_hour", bill.assumed("hours"))


def price_endpoint(bill: Bill, endpoint: Resource) -> None:
    """Gateway endpoints are free; interface endpoints cost in each of their zones."""
    kind = endpoint.properties.get("VpcEndpointType", "Gateway")
    if kind == "Gateway":
        return
    if kind != "Interface":
        raise BadInput(f"{endpoint.address}: VpcEndpointType: wanted Interface or Gateway, got {kind!r}")
    zones = _count(endpoint.properties.get("SubnetIds", [None]))
    bill.add(GROUP, "Interface endpoints", "privatelink/endpoint_hour", zones * bill.assumed("hours"))
    bill.add(GROUP, "Endpoint traffic", "privatelink/endpoint_gb", bill.assumed("endpoint_gb"))


def price_zone(bill: Bill, _zone: Resource) -> None:
    bill.add(GROUP, "Hosted zones", "route53/zone", 1)
    bill.add(GROUP, "DNS queries", "route53/query_million", bill.assumed("dns_query_millions"))


def price_health_check(bill: Bill, check: Resource) -> None:
    config: Json = check.properties.get("HealthCheckConfig", {})
    kind = str(config.get("Type"))
    options = [
        kind.startswith("HTTPS"),
        kind.endswith("STR_MATCH"),
        str(config.get("RequestInterval", 30)) == "10",
        config.get("MeasureLatency") in (True, "true"),
    ]
    bill.add(GROUP, "Health checks", "route53/health_check", 1)
    if any(options):
        bill.add(GROUP, "Health check options", "route53/health_check_option", sum(options))


def price_firewall_domains(bill: Bill, domains: Resource) -> None:
    bill.add(GROUP, "DNS firewall domains", "route53/firewall_domain", _count(domains.properties.get("Domains", [])))


def price_firewall_association(bill: Bill, _association: Resource) -> None:
    queries = bill.assumed("dns_firewall_query_millions")
    bill.add(GROUP, "DNS firewall queries", "route53/firewall_query_million", queries)
