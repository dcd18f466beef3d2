"""What a template value comes to before deployment: CloudFormation's intrinsic functions, resolved as far as they go.

A value resolves to plain JSON in which a resource that only deployment names appears as a Reference (alone) or as
`${Stack/LogicalId.Attribute}` (inside a text). What cannot be told becomes Unknown and poisons the whole value that
it is part of: a rule then reports an error, never a pass.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.policy import ACCOUNT_SYMBOL
from signalbox_evidence.facts.world import Unknown
from signalbox_evidence.template.assembly import Assembly, Json, StackTemplate

_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
_PLACE_HOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


@dataclass(frozen=True)
class Reference:
    """A resource of the assembly, or one of its attributes (`Ref` for its physical id)."""

    stack: str
    logical_id: str
    attribute: str

    @property
    def id(self) -> str:
        return f"{self.stack}/{self.logical_id}"

    def __str__(self) -> str:
        return f"${{{self.id}.{self.attribute}}}"


class Absent:
    """`AWS::NoValue`: as if the property were not written."""


ABSENT = Absent()


def _join(separator: str, parts: list[Any]) -> str:
    return separator.join(str(part) for part in parts)


class Intrinsics:
    """Resolves the values of one assembly's templates."""

    def __init__(self, assembly: Assembly) -> None:
        self._stacks = {stack.name: stack for stack in assembly.stacks}
        self._exports: dict[tuple[str | None, str], tuple[StackTemplate, Any]] = {}  # an export is of its region
        for stack in assembly.stacks:
            for output in stack.body.get("Outputs", {}).values():
                name = self.resolve(stack, output.get("Export", {}).get("Name"))
                if isinstance(name, str):
                    self._exports[stack.region, name] = (stack, output.get("Value"))
        self._functions: dict[str, Callable[[StackTemplate, Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::ImportValue": self._import,
            "Fn::Join": lambda stack, value: self._apply(stack, value, lambda v: _join(v[0], v[1])),
            "Fn::Select": lambda stack, value: self._apply(stack, value, lambda v: v[1][int(v[0])]),
            "Fn::Split": lambda stack, value: self._apply(stack, value, lambda v: v[1].split(v[0])),
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
        }

    def resolve(self, stack: StackTemplate, value: Any) -> Any:
        """`value` of that stack's template as described above; an Unknown anywhere inside makes all of it Unknown."""
        if isinstance(value, list):
            return self._list(stack, cast("list[Any]", value))
        if not isinstance(value, dict):
            if isinstance(value, str) and "{{resolve:" in value:
                return Unknown(f"dynamic reference {value}")
            return value
        table = cast("Json", value)
        if len(table) == 1:
            name, argument = next(iter(table.items()))
            if name in self._functions:
                return self._functions[name](stack, argument)
            if name.startswith("Fn::"):
                return Unknown(f"{name} is known only to CloudFormation")
        resolved = {key: self.resolve(stack, item) for key, item in table.items()}
        for item in resolved.values():
            if isinstance(item, Unknown):
                return item
        return {key: item for key, item in resolved.items() if item is not ABSENT}

    def exists(self, stack: StackTemplate, resource: Json) -> bool:
        """Whether the resource will be created; one whose condition cannot be told is taken to be."""
        name = resource.get("Condition")
        return name is None or self._condition(stack, {"Condition": name}) is not False

    def _list(self, stack: StackTemplate, items: list[Any]) -> Any:
        resolved = [self.resolve(stack, item) for item in items]
        for item in resolved:
            if isinstance(item, Unknown):
                return item
        return [item for item in resolved if item is not ABSENT]

    def _apply(self, stack: StackTemplate, value: Any, function: Callable[[Any], Any]) -> Any:
        arguments = self.resolve(stack, value)
        if isinstance(arguments, Unknown):
            return arguments
        try:
            return function(arguments)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            return Unknown(f"cannot work out {value}: {error}")

    def _ref(self, stack: StackTemplate, name: str) -> Any:
        pseudo = self._pseudo(stack, name)
        if pseudo is not None:
            return pseudo
        if name in stack.resources:
            return Reference(stack.name, name, "Ref")
        parameter: Json | None = stack.body.get("Parameters", {}).get(name)
        if parameter is None:
            return Unknown(f"Ref {name}: nothing of that name in {stack.name}")
        if str(parameter.get("Type", "")).startswith("AWS::SSM::"):
            return self._stored(stack, str(parameter.get("Default")), name)
        return parameter.get("Default", Unknown(f"parameter {name} of {stack.name} has no default"))

    def _stored(self, reader: StackTemplate, path: str, name: str) -> Any:
        """The value of an SSM parameter that some stack of the reader's region writes."""
        for stack in (it for it in self._stacks.values() if it.region == reader.region):
            for resource in stack.resources.values():
                properties: Json = resource.get("Properties", {})
                if (
                    resource.get("Type") == "AWS::SSM::Parameter"
                    and self.resolve(stack, properties.get("Name")) == path
                ):
                    return self.resolve(stack, properties.get("Value"))
        return Unknown(f"parameter {name} is read from {path} when the stack is deployed")

    def _pseudo(self, stack: StackTemplate, name: str) -> Any:
        if not name.startswith("AWS::"):
            return None
        region = stack.region
        partition = next((found for prefix, found in _PARTITIONS if region and region.startswith(prefix)), "aws")
        known = {
            "AWS::AccountId": stack.account or ACCOUNT_SYMBOL,
            "AWS::Region": region or "${AWS::Region}",
            "AWS::Partition": partition if region else "${AWS::Partition}",
            "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
            "AWS::StackName": stack.name,
            "AWS::NoValue": ABSENT,
        }
        return known.get(name, Unknown(f"{name} is known only after deployment"))

    def _get_att(self, stack: StackTemplate, value: Any) -> Any:
        logical_id, _, attribute = value.partition(".") if isinstance(value, str) else (value[0], "", value[1])
        resource = stack.resources.get(logical_id)
        if resource is None or not isinstance(attribute, str):
            return Unknown(f"Fn::GetAtt {value}: nothing of that name in {stack.name}")
        # these attributes are the property of the same meaning, so that both spellings compare equal
        same = {("AWS::EC2::VPC", "CidrBlock"): "CidrBlock", ("AWS::RDS::DBCluster", "Endpoint.Port"): "Port"}
        property_name = same.get((resource["Type"], attribute))
        if property_name in resource.get("Properties", {}):
            return self.resolve(stack, resource["Properties"][property_name])
        return Reference(stack.name, logical_id, attribute)

    def _import(self, stack: StackTemplate, value: Any) -> Any:
        name = self.resolve(stack, value)
        if not isinstance(name, str) or (stack.region, name) not in self._exports:
            return Unknown(f"no stack of this assembly exports {name} in {stack.region or 'its region'}")
        owner, exported = self._exports[stack.region, name]
        return self.resolve(owner, exported)

    def _sub(self, stack: StackTemplate, value: Any) -> Any:
        text: str = value if isinstance(value, str) else value[0]
        variables: Json = {} if isinstance(value, str) else value[1]
        unknown: list[Unknown] = []

        def fill(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                found = self.resolve(stack, variables[name])
            elif "." in name:
                found = self._get_att(stack, name)
            else:
                found = self._ref(stack, name)
            if isinstance(found, Unknown):
                unknown.append(found)
            return str(found)

        filled = _PLACE_HOLDER.sub(fill, text)
        return unknown[0] if unknown else filled

    def _if(self, stack: StackTemplate, value: Any) -> Any:
        name, yes, no = value
        holds = self._condition(stack, stack.body.get("Conditions", {}).get(name))
        if isinstance(holds, Unknown):
            return holds
        return self.resolve(stack, yes if holds else no)

    def _condition(self, stack: StackTemplate, condition: Any) -> bool | Unknown:
        if not isinstance(condition, dict) or len(cast("Json", condition)) != 1:
            return Unknown(f"{stack.name}: not a condition: {condition}")
        name, argument = next(iter(cast("Json", condition).items()))
        if name == "Condition":
            return self._condition(stack, stack.body.get("Conditions", {}).get(argument))
        if name == "Fn::Equals":
            return self._equals(stack, argument)
        return self._combined(stack, name, argument)

    def _equals(self, stack: StackTemplate, argument: Any) -> bool | Unknown:
        sides = self.resolve(stack, argument)
        if isinstance(sides, Unknown) or any("${" in str(side) for side in sides):
            return Unknown(f"{stack.name}: a condition depends on what only deployment knows")
        return str(sides[0]) == str(sides[1])

    def _combined(self, stack: StackTemplate, name: str, argument: list[Any]) -> bool | Unknown:
        answers = [self._condition(stack, item) for item in argument]
        for answer in answers:
            if isinstance(answer, Unknown):
                return answer
        match name:
            case "Fn::And":
                return all(answers)
            case "Fn::Or":
                return any(answers)
            case "Fn::Not":
                return not answers[0]
            case _:
                return Unknown(f"{stack.name}: no condition function {name}")

    def _find_in_map(self, stack: StackTemplate, value: Any) -> Any:
        def find(keys: list[str]) -> Any:
            table: Any = stack.body.get("Mappings", {})
            for key in keys:
                table = table.get(key)
            return Unknown(f"{stack.name}: no mapping {keys}") if table is None else table

        return self._apply(stack, value, find)
