"""Load balancing v2: load balancers, listeners, target groups."""

from typing import Any

from signalbox_emulator.types.kind import ID, KEYS, VALUE, Call, Kind, Read, Step, TagCalls, Target

JsonObject = dict[str, Any]

_TAGS = TagCalls(
    add=Call("add_tags", {"ResourceArns": [ID], "Tags": VALUE}),
    remove=Call("remove_tags", {"ResourceArns": [ID], "TagKeys": KEYS}),
)
_READ_TAGS = Read("describe_tags", {"ResourceArns": [ID]}, "TagDescriptions[0].Tags")


def _attributes(kind: str, name: str) -> tuple[Step, Any]:
    """Return how the attributes of a load balancer, listener or target group, property `name`, are set and read."""
    argument = f"{kind.title().replace('_', '')}Arn"

    def read(target: Target) -> list[JsonObject]:
        """Return those of all attributes that the template sets."""
        client = target.client("elbv2")
        answer = getattr(client, f"describe_{kind}_attributes")(**{argument: target.id})
        wanted = {attribute["Key"] for attribute in target.properties[name]}
        return [attribute for attribute in answer["Attributes"] if attribute["Key"] in wanted]

    return Call(f"modify_{kind}_attributes", {argument: ID, "Attributes": VALUE}), read


_SET_LISTENER, _READ_LISTENER = _attributes("listener", "ListenerAttributes")
_SET_LOAD_BALANCER, _READ_LOAD_BALANCER = _attributes("load_balancer", "LoadBalancerAttributes")
_SET_TARGET_GROUP, _READ_TARGET_GROUP = _attributes("target_group", "TargetGroupAttributes")


def _delete_load_balancer(target: Target, _policy: str) -> None:
    target.client("elbv2").delete_load_balancer(LoadBalancerArn=target.id)


KINDS = (
    Kind(
        type="AWS::ElasticLoadBalancingV2::LoadBalancer",
        service="elbv2",
        create="create_load_balancer",
        ref="LoadBalancers[0].LoadBalancerArn",
        name="Name",
        name_length=32,
        read=Read("describe_load_balancers", {"LoadBalancerArns": [ID]}, "LoadBalancers[0]"),
        reads={
            "Name": "LoadBalancerName",
            "LoadBalancerAttributes": _READ_LOAD_BALANCER,
            "Subnets": "AvailabilityZones[].SubnetId",
            "Tags": _READ_TAGS,
        },
        delete=_delete_load_balancer,
        after={"LoadBalancerAttributes": _SET_LOAD_BALANCER},
        change={
            "SecurityGroups": Call("set_security_groups", {"LoadBalancerArn": ID, "SecurityGroups": VALUE}),
            "Subnets": Call("set_subnets", {"LoadBalancerArn": ID, "Subnets": VALUE}),
            "IpAddressType": Call("set_ip_address_type", {"LoadBalancerArn": ID, "IpAddressType": VALUE}),
        },
        replace=frozenset({"Name", "Scheme", "Type"}),
        attributes={
            "CanonicalHostedZoneID": "CanonicalHostedZoneId",
            "DNSName": "DNSName",
            "LoadBalancerArn": "LoadBalancerArn",
            "LoadBalancerFullName": lambda target: target.id.split("loadbalancer/")[-1],
            "LoadBalancerName": "LoadBalancerName",
            "SecurityGroups": "SecurityGroups",
        },
        tags=_TAGS,
    ),
    Kind(
        type="AWS::ElasticLoadBalancingV2::TargetGroup",
        service="elbv2",
        create="create_target_group",
        ref="TargetGroups[0].TargetGroupArn",
        name="Name",
        name_length=32,
        read=Read("describe_target_groups", {"TargetGroupArns": [ID]}, "TargetGroups[0]"),
        reads={"Name": "TargetGroupName", "TargetGroupAttributes": _READ_TARGET_GROUP, "Tags": _READ_TAGS},
        delete=Call("delete_target_group", {"TargetGroupArn": ID}),
        after={"TargetGroupAttributes": _SET_TARGET_GROUP},
        modify=Call("modify_target_group", {"TargetGroupArn": ID}),
        replace=frozenset({"Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId", "IpAddressType"}),
        attributes={
            "LoadBalancerArns": "LoadBalancerArns",
            "TargetGroupArn": "TargetGroupArn",
            "TargetGroupFullName": lambda target: target.id.split(":")[-1],
            "TargetGroupName": "TargetGroupName",
        },
        tags=_TAGS,
    ),
    Kind(
        type="AWS::ElasticLoadBalancingV2::Listener",
        service="elbv2",
        create="create_listener",
        ref="Listeners[0].ListenerArn",
        read=Read("describe_listeners", {"ListenerArns": [ID]}, "Listeners[0]"),
        reads={"ListenerAttributes": _READ_LISTENER},
        delete=Call("delete_listener", {"ListenerArn": ID}),
        after={"ListenerAttributes": _SET_LISTENER},
        modify=Call("modify_listener", {"ListenerArn": ID}),
        replace=frozenset({"LoadBalancerArn"}),
        attributes={"ListenerArn": "ListenerArn"},
    ),
    Kind(
        type="AWS::ElasticLoadBalancingV2::ListenerRule",
        service="elbv2",
        create="create_rule",
        ref="Rules[0].RuleArn",
        # The API says the listener by the rule's ARN, which goes on from the listener's.
        read=Read("describe_rules", {"RuleArns": [ID]}, "Rules[0]"),
        reads={"ListenerArn": lambda target: target.id.replace(":listener-rule/", ":listener/").rsplit("/", 1)[0]},
        delete=Call("delete_rule", {"RuleArn": ID}),
        change={
            "Priority": lambda target, value: target.send(
                "elbv2", "set_rule_priorities", {"RulePriorities": [{"RuleArn": target.id, "Priority": value}]}
            )
        },
        modify=Call("modify_rule", {"RuleArn": ID}),
        replace=frozenset({"ListenerArn"}),
        attributes={"RuleArn": "RuleArn", "IsDefault": "IsDefault"},
    ),
)
