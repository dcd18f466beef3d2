"""Application Auto Scaling: targets with their scheduled actions, and policies."""

from typing import Any

from signalbox_emulator.types.kind import Kind, Target

JsonObject = dict[str, Any]

_SERVICE = "application-autoscaling"
_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")
"""What names a target, in the API and, joined otherwise, in its physical id."""


def _named(target: Target) -> JsonObject:
    """Return the members that name a scalable target, from a target's own properties or from a policy's."""
    if "ScalingTargetId" in target.properties:
        resource, dimension, namespace = target.properties["ScalingTargetId"].split("|")
        return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}
    return {name: target.properties[name] for name in _TARGET}


def _register(target: Target) -> None:
    sent = {name: value for name, value in target.properties.items() if name not in {"ScheduledActions", "Tags"}}
    target.send(_SERVICE, "register_scalable_target", sent)


def _create_target(target: Target) -> str:
    _register(target)
    return "|".join(target.properties[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))


def _read_target(target: Target) -> JsonObject | None:
    names = _named(target)
    found = target.send(
        _SERVICE,
        "describe_scalable_targets",
        {
            "ServiceNamespace": names["ServiceNamespace"],
            "ResourceIds": [names["ResourceId"]],
            "ScalableDimension": names["ScalableDimension"],
        },
    )
    targets: list[JsonObject] = found["ScalableTargets"]
    return next(iter(targets), None)


def _set_actions(target: Target, actions: list[JsonObject]) -> None:
    names = {action["ScheduledActionName"] for action in actions}
    for gone in target.former.get("ScheduledActions", []):
        if gone["ScheduledActionName"] not in names:
            sent = {**_named(target), "ScheduledActionName": gone["ScheduledActionName"]}
            target.send(_SERVICE, "delete_scheduled_action", sent)
    for action in actions:
        target.send(_SERVICE, "put_scheduled_action", {**_named(target), **action})


def _read_actions(target: Target) -> list[JsonObject]:
    return target.send(_SERVICE, "describe_scheduled_actions", _named(target))["ScheduledActions"]


def _delete_target(target: Target, _policy: str) -> None:
    for action in target.properties.get("ScheduledActions", []):
        sent = {**_named(target), "ScheduledActionName": action["ScheduledActionName"]}
        target.send(_SERVICE, "delete_scheduled_action", sent)
    target.send(_SERVICE, "deregister_scalable_target", _named(target))


def _put_policy(target: Target) -> str:
    sent = {name: value for name, value in target.properties.items() if name != "ScalingTargetId"}
    return target.send(_SERVICE, "put_scaling_policy", {**_named(target), **sent})["PolicyARN"]


def _read_policy(target: Target) -> JsonObject | None:
    answer = target.send(_SERVICE, "describe_scaling_policies", _named(target))
    found: list[JsonObject] = answer["ScalingPolicies"]
    policy = next((item for item in found if item["PolicyName"] == target.properties["PolicyName"]), None)
    if "ScalingTargetId" in target.properties and policy:
        members = ("ResourceId", "ScalableDimension", "ServiceNamespace")
        return {**policy, "ScalingTargetId": "|".join(policy[name] for name in members)}
    return policy


def _update_policy(target: Target) -> None:
    _put_policy(target)


KINDS = (
    Kind(
        type="AWS::ApplicationAutoScaling::ScalableTarget",
        service=_SERVICE,
        create=_create_target,
        read=_read_target,
        reads={"ScheduledActions": _read_actions},
        delete=_delete_target,
        after={"ScheduledActions": _set_actions},
        modify=_register,
        replace=frozenset(_TARGET),
        attributes={"Id": lambda target: target.id},
    ),
    Kind(
        type="AWS::ApplicationAutoScaling::ScalingPolicy",
        service=_SERVICE,
        create=_put_policy,
        read=_read_policy,
        delete=lambda target, _: target.send(
            _SERVICE, "delete_scaling_policy", {**_named(target), "PolicyName": target.properties["PolicyName"]}
        ),
        modify=_update_policy,
        replace=frozenset({"PolicyName", "ScalingTargetId", *_TARGET}),
        attributes={"Arn": "PolicyARN"},
    ),
)
