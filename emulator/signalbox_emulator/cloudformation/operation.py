"""One creation, update or deletion of one stack, from the first call to the last event.

Invariant: an operation that fails leaves the stack as it was before. New resources are deleted, changed ones changed
back, and what is to be removed or replaced is deleted only after everything else has succeeded.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, cast

from signalbox_emulator import capabilities
from signalbox_emulator.aws import Account
from signalbox_emulator.cloudformation.dynamic import resolve_dynamic
from signalbox_emulator.cloudformation.errors import ValidationError
from signalbox_emulator.cloudformation.intrinsics import Scope, resolve
from signalbox_emulator.cloudformation.order import creation_order, needs
from signalbox_emulator.cloudformation.records import Desired, Output, Resource, Stack
from signalbox_emulator.types.kind import Kind, Refused, Target
from signalbox_emulator.types.shapes import NoHome
from signalbox_emulator.types.table import TABLE

JsonObject = dict[str, Any]

_SUFFIX = 12


class Failed(Exception):
    """A resource could not be brought to its wanted state."""

    def __init__(self, resource: Resource, reason: str) -> None:
        super().__init__(reason)
        self.resource = resource
        self.reason = reason


class Operation:
    """Brings `stack` to `desired`. Use once. Without `checked` what is created is not read back."""

    def __init__(
        self, stack: Stack, desired: Desired, account: Account, exports: Callable[[str], str], *, checked: bool = True
    ) -> None:
        self._stack = stack
        self._desired = desired
        self._account = account
        self._checked = checked
        self._now: dict[str, Resource] = {}
        self._undo: list[Callable[[], None]] = []
        self._retired: list[Resource] = []
        self._former_order = list(stack.resources)
        self._scope = Scope(
            pseudo={
                "AWS::AccountId": stack.account,
                "AWS::NotificationARNs": stack.notification_arns,
                "AWS::Partition": "aws",
                "AWS::Region": stack.region,
                "AWS::StackId": stack.id,
                "AWS::StackName": stack.name,
                "AWS::URLSuffix": "amazonaws.com",
            },
            parameters={name: parameter.value for name, parameter in desired.parameters.items()},
            mappings=desired.template.get("Mappings", {}),
            conditions=desired.template.get("Conditions", {}),
            zones=self._zones,
            ref=lambda logical: self._now[logical].id,
            attribute=self._attribute,
            export=exports,
        )

    def check(self) -> None:
        """Raise ValidationError when the template cannot be carried out in any order."""
        creation_order(needs(self._desired.template, self._scope.condition))

    def run(self) -> None:
        """Do it, or raise Failed with everything undone."""
        before = dict(self._stack.resources)
        needed = needs(self._desired.template, self._scope.condition)
        try:
            for logical in creation_order(needed):
                self._now[logical] = self._bring(logical, frozenset(needed[logical]))
            outputs = self._outputs()
        except Exception:
            self._stack.resources = before
            raise
        self._stack.resources = self._now
        self._stack.outputs = outputs
        self._retired += [resource for logical, resource in before.items() if logical not in self._now]

    def roll_back(self) -> None:
        """Undo what `run` did before it failed, last first; Failed when that fails too."""
        while self._undo:
            self._undo.pop()()

    def clean_up(self) -> list[str]:
        """Delete what was replaced or left out of the template; return what could not be deleted, with the reason."""
        problems: list[str] = []
        for resource in sorted(self._retired, key=lambda r: -self._former_order.index(r.logical)):
            policy = resource.replacement_policy if resource.logical in self._now else resource.deletion_policy
            try:
                delete(self._stack, resource, self._account, policy)
            except Failed as failure:
                problems.append(f"{resource.logical}: {failure.reason}")
        return problems

    def _bring(self, logical: str, needed: frozenset[str]) -> Resource:
        """Return the resource as wanted: kept, changed in place, replaced, or new."""
        declared = self._desired.template["Resources"][logical]
        kind = TABLE[declared["Type"]]
        existing = self._stack.resources.get(logical)
        wanted = Resource(
            logical=logical,
            type=kind.type,
            id="",
            properties={},
            described=None,
            deletion_policy=declared.get("DeletionPolicy", "Delete"),
            replacement_policy=declared.get("UpdateReplacePolicy", "Delete"),
            needs=needed,
        )
        try:
            resolved = resolve(declared.get("Properties", {}), self._scope)
            template_properties: JsonObject = resolve_dynamic(resolved, self._client)
        except (ValidationError, KeyError) as error:
            raise self._failed(wanted, "CREATE_FAILED" if existing is None else "UPDATE_FAILED", error) from error
        if existing is not None and existing.type == kind.type:
            wanted.id, wanted.generation = existing.id, existing.generation
            wanted.properties = self._complete(kind, wanted, template_properties)
            wanted.described = existing.described
            if wanted.properties == existing.properties:
                wanted.status, wanted.updated = existing.status, existing.updated
                return wanted
            if not kind.needs_replacement(existing.properties, wanted.properties):
                return self._change(kind, existing, wanted)
        if existing is not None:
            self._retired.append(existing)
            wanted.id, wanted.generation = "", existing.generation + 1
        wanted.properties = self._complete(kind, wanted, template_properties)
        return self._create(kind, wanted, replaces=existing is not None)

    def _complete(self, kind: Kind, resource: Resource, properties: JsonObject) -> JsonObject:
        """Return the template's properties with what CloudFormation adds: an invented name, and the stack's tags."""
        complete = dict(properties)
        if kind.name and kind.name not in complete:
            complete[kind.name] = _invented_name(self._stack, resource, kind)
        if kind.tags:
            own = complete.get("Tags", [])
            if isinstance(own, dict):  # as some types write them
                own = [{"Key": key, "Value": value} for key, value in cast("JsonObject", own).items()]
            keys = {tag["Key"] for tag in own}
            tags = own + [{"Key": k, "Value": v} for k, v in self._desired.tags.items() if k not in keys]
            if tags:
                complete["Tags"] = tags
        return complete

    def _create(self, kind: Kind, resource: Resource, *, replaces: bool) -> Resource:
        verb = "UPDATE" if replaces else "CREATE"
        reason = "Requested update requires the creation of a new physical resource." if replaces else None
        self._stack.say_of(resource, f"{verb}_IN_PROGRESS", reason)
        target = target_of(self._stack, resource, self._account)
        try:
            try:
                kind.start(target)
            finally:
                resource.id = target.id
                if target.id:
                    self._undo.append(lambda: delete(self._stack, resource, self._account, _creation_policy(resource)))
            kind.finish(target)
            if self._checked:
                resource.described = _checked(kind, target)
        except Exception as error:
            raise self._failed(resource, f"{verb}_FAILED", error) from error
        self._stack.say_of(resource, f"{verb}_COMPLETE")
        return resource

    def _change(self, kind: Kind, before: Resource, after: Resource) -> Resource:
        self._stack.say_of(after, "UPDATE_IN_PROGRESS")
        target = target_of(self._stack, after, self._account)
        target.former = before.properties
        self._undo.append(lambda: self._change_back(kind, before, after))
        try:
            kind.update(target)
            after.described = _checked(kind, target)
        except Refused as error:
            self._undo.pop()
            raise self._failed(after, "UPDATE_FAILED", error) from error
        except Exception as error:
            raise self._failed(after, "UPDATE_FAILED", error) from error
        self._stack.say_of(after, "UPDATE_COMPLETE")
        return after

    def _change_back(self, kind: Kind, before: Resource, after: Resource) -> None:
        target = target_of(self._stack, before, self._account)
        target.former = after.properties
        # A property that the failed update added has no former value: what the service holds for it stays.
        added = after.properties.keys() - before.properties.keys()
        if kind.takes_all:
            added &= {*kind.after, *kind.change}
        target.properties = before.properties | {name: after.properties[name] for name in added}
        try:
            kind.update(target)
        except Exception as error:
            raise self._failed(before, "UPDATE_FAILED", error) from error
        self._stack.say_of(before, "UPDATE_COMPLETE")

    def _failed(self, resource: Resource, status: str, error: Exception) -> Failed:
        reason = _words(error)
        self._stack.say_of(resource, status, reason)
        return Failed(resource, reason)

    def _outputs(self) -> dict[str, Output]:
        found: dict[str, Output] = {}
        for name, declared in self._desired.template.get("Outputs", {}).items():
            if "Condition" in declared and not self._scope.condition(declared["Condition"]):
                continue
            export = resolve(declared["Export"]["Name"], self._scope) if "Export" in declared else None
            value = resolve(declared["Value"], self._scope)
            found[name] = Output(value=str(value), description=declared.get("Description"), export=export)
        return found

    def _attribute(self, logical: str, name: str) -> Any:
        resource = self._now[logical]
        kind, target = TABLE[resource.type], target_of(self._stack, resource, self._account)
        if resource.described is None:
            resource.described = kind.look(target)
        try:
            value = kind.attribute(target, resource.described, name)
        except KeyError:
            raise ValidationError(
                f"Template error: resource {logical} ({resource.type}) does not support attribute {name} in Fn::GetAtt"
            ) from None
        if value is None:
            raise ValidationError(f"Template error: attribute {name} of {logical} ({resource.type}) has no value")
        return value

    def _client(self, service: str) -> Any:
        return self._account.client(service, self._stack.region)

    def _zones(self, region: str) -> list[str]:
        zones = self._account.client("ec2", region).describe_availability_zones()["AvailabilityZones"]
        return [zone["ZoneName"] for zone in zones]


def target_of(stack: Stack, resource: Resource, account: Account) -> Target:
    """Return `resource` as the type table works on it."""
    return Target(
        type=resource.type,
        region=stack.region,
        account=stack.account,
        properties=resource.properties,
        clients=account.client,
        id=resource.id,
    )


def delete(stack: Stack, resource: Resource, account: Account, policy: str) -> None:
    """Delete `resource`, or keep it where its policy says so; Failed when its service refuses."""
    if policy in {"Retain", "RetainExceptOnCreate"}:
        stack.say_of(resource, "DELETE_SKIPPED")
        return
    stack.say_of(resource, "DELETE_IN_PROGRESS")
    try:
        TABLE[resource.type].remove(target_of(stack, resource, account), policy)
    except Exception as error:
        reason = _words(error)
        stack.say_of(resource, "DELETE_FAILED", reason)
        raise Failed(resource, reason) from error
    stack.say_of(resource, "DELETE_COMPLETE")


def _creation_policy(resource: Resource) -> str:
    """Return the policy for a resource whose creation is undone: RetainExceptOnCreate means to delete it then."""
    return "Delete" if resource.deletion_policy in {"RetainExceptOnCreate", "Snapshot"} else resource.deletion_policy


def _checked(kind: Kind, target: Target) -> Any:
    """Return the resource as it reads back; NoHome when a property was lost that the capability list does not name."""
    described = kind.look(target)
    lost = [path for path in kind.lost(target, described) if not capabilities.excuses(kind.type, path)]
    if lost:
        raise NoHome(
            f"{kind.type}: {', '.join(lost)} did not read back as sent; moto's {kind.service} does not keep it, "
            "and it is not in the capability list"
        )
    return described


def _invented_name(stack: Stack, resource: Resource, kind: Kind) -> str:
    """Return stack-logical-suffix within the type's length; the same for the same stack, resource and generation."""
    seed = f"{stack.region}/{stack.name}/{resource.logical}/{resource.generation}"
    suffix = base64.b32encode(hashlib.sha256(seed.encode()).digest()).decode()[:_SUFFIX]
    room = kind.name_length - _SUFFIX - 2
    logical = resource.logical[: max(room - len(stack.name), room // 2)]
    name = f"{stack.name[: room - len(logical)].strip('-')}-{logical}-{suffix}"
    return name.lower() if kind.lower_case else name


def _words(error: Exception) -> str:
    """Return an error as a reason: a service's own message without boto3's preamble."""
    if isinstance(error, KeyError):
        return f"property {error.args[0]} is missing, and this type needs it"
    return str(error).split("(reached max retries: 0): ", 1)[-1] or type(error).__name__
