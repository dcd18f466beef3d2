"""What a template value comes to before deployment, in a form in which two releases can be compared.

A value resolves to JSON in which a resource appears as {"Reference": "stack/LogicalId.Attribute"} (`Ref` for its
physical id) whatever way it was written: Ref, GetAtt, inside a Sub, through an export of another stack, or through an
SSM parameter that a stack of the assembly writes. A text with such parts is {"Text": [part, ...]}. What only
CloudFormation knows stays as it is written, so that it compares equal to itself and to nothing else.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast  # template values are free JSON

from signalbox_guards.assembly import Assembly, Stack
from signalbox_guards.canonical import Json

_PLACE_HOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
_DYNAMIC_SSM = re.compile(r"\{\{resolve:ssm:([^:}]+)(?::\d+)?\}\}")
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))


class Absent:
    """`AWS::NoValue`: as if the property were not written."""


ABSENT = Absent()


def reference(stack: str, logical_id: str, attribute: str) -> Json:
    return {"Reference": f"{stack}/{logical_id}.{attribute}"}


def references(value: Any) -> Iterator[str]:
    """The "stack/LogicalId" of every resource that a resolved value refers to."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from references(item)
    elif isinstance(value, dict):
        table = cast("Json", value)
        if len(table) == 1 and isinstance(table.get("Reference"), str):
            yield table["Reference"].partition(".")[0]
        else:
            for item in table.values():
                yield from references(item)


def _text(parts: list[Any]) -> Any:
    """Parts put together: a string if all are known, else {"Text": [...]} with neighbouring strings joined."""
    joined: list[Any] = []
    for part in parts:
        table = cast("Json", part) if isinstance(part, dict) else {}
        inner: list[Any] = table.get("Text", [part])
        for item in inner:
            known = str(item) if isinstance(item, str | int | float) else item
            if isinstance(known, str) and joined and isinstance(joined[-1], str):
                joined[-1] += known
            else:
                joined.append(known)
    if not joined:
        return ""
    return joined[0] if len(joined) == 1 and isinstance(joined[0], str) else {"Text": joined}


class Intrinsics:
    """Resolves the values of one assembly's templates."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._exports: dict[str, tuple[Stack, Any]] = {}
        self._functions: dict[str, Callable[[Stack, Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::ImportValue": self._import,
            "Fn::GetStackOutput": self._stack_output,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
        }
        for stack in assembly.stacks.values():
            for output in stack.outputs.values():
                name = self.resolve(stack, output.get("Export", {}).get("Name"))
                if isinstance(name, str):
                    self._exports[f"{stack.region}/{name}"] = (stack, output.get("Value"))

    def resolve(self, stack: Stack, value: Any) -> Any:
        """`value` of that stack's template in the form described above; ABSENT for AWS::NoValue."""
        if isinstance(value, list):
            items = [self.resolve(stack, item) for item in cast("list[Any]", value)]
            return [item for item in items if item is not ABSENT]
        if isinstance(value, str):
            match = _DYNAMIC_SSM.fullmatch(value)
            return self._stored(stack, match.group(1), value) if match else value
        if not isinstance(value, dict):
            return value
        table = cast("Json", value)
        if len(table) == 1:
            name, argument = next(iter(table.items()))
            if name in self._functions:
                return self._functions[name](stack, argument)
        resolved = {key: self.resolve(stack, item) for key, item in table.items()}
        return {key: item for key, item in resolved.items() if item is not ABSENT}

    def exists(self, stack: Stack, resource: Json) -> bool | None:
        """Whether the resource will be created; None when only deployment tells."""
        name = resource.get("Condition")
        return True if name is None else self._condition(stack, {"Condition": name})

    def _ref(self, stack: Stack, name: str) -> Any:
        if name == "AWS::NoValue":
            return ABSENT
        if name.startswith("AWS::"):
            return self._pseudo(stack, name)
        if name in stack.resources:
            return reference(stack.name, name, "Ref")
        parameter: Json = stack.template.get("Parameters", {}).get(name, {})
        default = parameter.get("Default", {"Ref": name})
        if str(parameter.get("Type", "")).startswith("AWS::SSM::"):
            return self._stored(stack, str(default), {"Parameter": default})
        return default

    def _pseudo(self, stack: Stack, name: str) -> Any:
        region = stack.region
        partition = next((found for prefix, found in _PARTITIONS if region and region.startswith(prefix)), "aws")
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        known = {
            "AWS::AccountId": stack.account,
            "AWS::Region": region,
            "AWS::Partition": partition if region else None,
            "AWS::URLSuffix": suffix if region else None,
            "AWS::StackName": stack.stack_name,
        }
        return known.get(name) or {"Ref": name}

    def _stored(self, stack: Stack, path: str, otherwise: Any) -> Any:
        """The value of an SSM parameter that some stack of the same region writes, else `otherwise`."""
        for writer in self._assembly.stacks.values():
            for resource in writer.resources.values():
                properties: Json = resource.get("Properties", {})
                if (
                    resource["Type"] == "AWS::SSM::Parameter"
                    and writer.region == stack.region
                    and self.resolve(writer, properties.get("Name")) == path
                ):
                    return self.resolve(writer, properties.get("Value"))
        return otherwise

    def _get_att(self, stack: Stack, value: Any) -> Any:
        logical_id, _, attribute = value.partition(".") if isinstance(value, str) else (value[0], "", value[1])
        if logical_id not in stack.resources or not isinstance(attribute, str):
            return {"Fn::GetAtt": value}
        return reference(stack.name, logical_id, attribute)

    def _import(self, stack: Stack, value: Any) -> Any:
        name = self.resolve(stack, value)
        owner, exported = self._exports.get(f"{stack.region}/{name}", (None, None))
        return self.resolve(owner, exported) if owner else {"Fn::ImportValue": name}

    def _stack_output(self, stack: Stack, value: Any) -> Any:
        table: Json = self.resolve(stack, value)
        wanted = (table.get("StackName"), table.get("Region", stack.region))
        for owner in self._assembly.stacks.values():
            output = owner.outputs.get(str(table.get("OutputName")))
            if output and (owner.stack_name, owner.region) == wanted:
                return self.resolve(owner, output.get("Value"))
        return {"Fn::GetStackOutput": value}

    def _join(self, stack: Stack, value: Any) -> Any:
        separator: str = value[0]
        parts: Any = self.resolve(stack, value[1])
        if not isinstance(parts, list):
            return cast("Json", {"Fn::Join": [separator, parts]})
        items = cast("list[Any]", parts)
        return _text([piece for index, part in enumerate(items) for piece in ([separator, part] if index else [part])])

    def _select(self, stack: Stack, value: Any) -> Any:
        index, found = self.resolve(stack, value[0]), self.resolve(stack, value[1])
        items = cast("list[Any]", found) if isinstance(found, list) else []
        if str(index).isdigit() and int(index) < len(items):
            return items[int(index)]
        return cast("Json", {"Fn::Select": [index, found]})

    def _split(self, stack: Stack, value: Any) -> Any:
        separator, whole = value[0], self.resolve(stack, value[1])
        return whole.split(separator) if isinstance(whole, str) else {"Fn::Split": [separator, whole]}

    def _sub(self, stack: Stack, value: Any) -> Any:
        text: str = value if isinstance(value, str) else value[0]
        variables: Json = {} if isinstance(value, str) else value[1]
        parts: list[Any] = []
        end = 0
        for match in _PLACE_HOLDER.finditer(text):
            literal, name = match.groups()
            parts.append(text[end : match.start()])
            end = match.end()
            if literal:
                parts.append(f"${{{name}}}")
            elif name in variables:
                parts.append(self.resolve(stack, variables[name]))
            else:
                parts.append(self._get_att(stack, name) if "." in name else self._ref(stack, name))
        return _text([*parts, text[end:]])

    def _if(self, stack: Stack, value: Any) -> Any:
        name, yes, no = value
        holds = self._condition(stack, {"Condition": name})
        if holds is None:
            return {"Fn::If": [name, self._shown(stack, yes), self._shown(stack, no)]}
        return self.resolve(stack, yes if holds else no)

    def _shown(self, stack: Stack, value: Any) -> Any:
        resolved = self.resolve(stack, value)
        return {"Ref": "AWS::NoValue"} if resolved is ABSENT else resolved

    def _condition(self, stack: Stack, condition: Json) -> bool | None:
        name, argument = next(iter(condition.items()))
        if name == "Condition":
            stated: Json | None = stack.template.get("Conditions", {}).get(argument)
            return self._condition(stack, stated) if stated else None
        if name == "Fn::Equals":
            left, right = (self.resolve(stack, item) for item in argument)
            plain = (str, int, float, bool)
            if isinstance(left, plain) and isinstance(right, plain):
                return str(left) == str(right)
            return True if left == right else None
        answers = [self._condition(stack, item) for item in argument]
        match name:
            case "Fn::And":
                return False if False in answers else None if None in answers else True
            case "Fn::Or":
                return True if True in answers else None if None in answers else False
            case "Fn::Not":
                return None if answers[0] is None else not answers[0]
            case _:
                return None

    def _find_in_map(self, stack: Stack, value: Any) -> Any:
        keys = self.resolve(stack, value)
        table: Any = stack.template.get("Mappings", {})
        for key in cast("list[Any]", keys):
            if not isinstance(key, str) or key not in table:
                return {"Fn::FindInMap": keys}
            table = table[key]
        return table
