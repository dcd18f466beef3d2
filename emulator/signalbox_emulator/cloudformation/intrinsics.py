"""What the intrinsic functions return, and which resources an expression needs first.

Pure but for the look-ups in `Scope`, which the engine answers: zones, a resource's Ref and attributes, an export.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from signalbox_emulator.cloudformation.errors import ValidationError

JsonObject = dict[str, Any]

_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")

NO_VALUE = object()
"""What AWS::NoValue stands for: the property that holds it is not there."""


@dataclass(kw_only=True)
class Scope:
    """All that an expression of one stack may refer to."""

    pseudo: Mapping[str, Any]
    """AWS::Region and the like, complete."""
    parameters: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    zones: Callable[[str], list[str]]
    """The availability zones of a region, in order."""
    ref: Callable[[str], str]
    attribute: Callable[[str, str], Any]
    export: Callable[[str], str]
    _decided: dict[str, bool] = field(default_factory=dict[str, bool])

    def condition(self, name: str) -> bool:
        """Return whether condition `name` of the template holds."""
        if name not in self._decided:
            if name not in self.conditions:
                raise ValidationError(f"Template error: unresolved condition dependency {name}")
            self._decided[name] = bool(resolve(self.conditions[name], self))
        return self._decided[name]


def resolve(value: Any, scope: Scope) -> Any:
    """Return `value` with every intrinsic function replaced by what it stands for."""
    if isinstance(value, list):
        items = [resolve(item, scope) for item in cast("list[Any]", value)]
        return [item for item in items if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    value = cast("JsonObject", value)
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref":
            return _ref(argument, scope)
        if name == "Condition" and isinstance(argument, str):
            return scope.condition(argument)
        if name.startswith("Fn::"):
            if name not in _FUNCTIONS:
                raise ValidationError(f"Template error: this emulator does not know the function {name}")
            return _FUNCTIONS[name](argument, scope)
    members = {key: resolve(item, scope) for key, item in value.items()}
    return {key: item for key, item in members.items() if item is not NO_VALUE}


def references(value: Any, is_active: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names that `value` needs (resources and parameters alike), in branches whose condition is active."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from references(item, is_active)
    elif isinstance(value, dict):
        for key, item in cast("JsonObject", value).items():
            yield from _references_of(key, item, is_active)


def _references_of(key: str, item: Any, is_active: Callable[[str], bool]) -> Iterator[str]:
    if key == "Ref":
        yield item
    elif key == "Fn::GetAtt":
        yield _get_att_parts(item)[0]
    elif key == "Fn::Sub":
        text, variables = _sub_parts(item)
        yield from (name.split(".")[0] for name in _VARIABLE.findall(text) if name not in variables)
        yield from references(variables, is_active)
    elif key == "Fn::If":
        yield from references(item[1] if is_active(item[0]) else item[2], is_active)
    else:
        yield from references(item, is_active)


def _ref(name: str, scope: Scope) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    if name in scope.pseudo:
        return scope.pseudo[name]
    if name in scope.parameters:
        return scope.parameters[name]
    return scope.ref(name)


def _get_att_parts(argument: Any) -> tuple[str, str]:
    logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return logical, attribute


def _get_att(argument: Any, scope: Scope) -> Any:
    logical, attribute = _get_att_parts(argument)
    return scope.attribute(logical, resolve(attribute, scope))


def _sub_parts(argument: Any) -> tuple[str, JsonObject]:
    return (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])


def _sub(argument: Any, scope: Scope) -> str:
    text, variables = _sub_parts(argument)

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in variables:
            return str(resolve(variables[name], scope))
        return str(scope.attribute(*name.split(".", 1)) if "." in name else _ref(name, scope))

    return _VARIABLE.sub(replace, text).replace("${!", "${")


def _join(argument: Any, scope: Scope) -> str:
    separator, items = argument[0], resolve(argument[1], scope)
    return separator.join(str(item) for item in items)


def _select(argument: Any, scope: Scope) -> Any:
    index, items = int(resolve(argument[0], scope)), resolve(argument[1], scope)
    if not 0 <= index < len(items):
        raise ValidationError(f"Template error: Fn::Select cannot select index {index} of {len(items)} values")
    return items[index]


def _split(argument: Any, scope: Scope) -> list[str]:
    return str(resolve(argument[1], scope)).split(argument[0])


def _if(argument: Any, scope: Scope) -> Any:
    return resolve(argument[1] if scope.condition(argument[0]) else argument[2], scope)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, top, second = (resolve(part, scope) for part in argument[:3])
    try:
        return scope.mappings[name][top][second]
    except KeyError:
        raise ValidationError(f"Template error: Unable to get mapping for {name}::{top}::{second}") from None


def _cidr(argument: Any, scope: Scope) -> list[str]:
    block, count, *bits = (resolve(part, scope) for part in argument)
    network = ipaddress.ip_network(block)
    prefix = network.max_prefixlen - int(bits[0] if bits else 8)
    subnets = network.subnets(new_prefix=prefix)
    return [str(next(subnets)) for _ in range(int(count))]


def _get_azs(argument: Any, scope: Scope) -> list[str]:
    return scope.zones(resolve(argument, scope) or scope.pseudo["AWS::Region"])


_FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "Fn::And": lambda argument, scope: all(resolve(part, scope) for part in argument),
    "Fn::Base64": lambda argument, scope: base64.b64encode(str(resolve(argument, scope)).encode()).decode(),
    "Fn::Cidr": _cidr,
    "Fn::Equals": lambda argument, scope: str(resolve(argument[0], scope)) == str(resolve(argument[1], scope)),
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": _get_azs,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::ImportValue": lambda argument, scope: scope.export(str(resolve(argument, scope))),
    "Fn::Join": _join,
    "Fn::Not": lambda argument, scope: not resolve(argument[0], scope),
    "Fn::Or": lambda argument, scope: any(resolve(part, scope) for part in argument),
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
}
