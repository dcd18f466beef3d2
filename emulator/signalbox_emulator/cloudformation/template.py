"""A template as text, and what of it is decided before any resource exists: parameters, conditions, resource types."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

from signalbox_emulator.cloudformation.errors import ValidationError

JsonObject = dict[str, Any]

_SECTIONS = {
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions", "Resources",
    "Outputs",
}  # fmt: skip
_RESOURCE_KEYS = {
    "Type", "Properties", "Condition", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy",
}  # fmt: skip
_LIST_TYPES = ("CommaDelimitedList", "List<")
_SSM = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One resolved parameter: `given` is the text the caller passed, `value` is what Ref returns."""

    given: str
    value: str | list[str]
    resolved: str | None
    """The text behind an SSM parameter, None for any other type."""


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of the intrinsic functions; dates stay text, as CloudFormation reads them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> JsonObject:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)  # pyright: ignore[reportUnknownMemberType] - untyped in the stubs


def parse(body: str) -> JsonObject:
    """Return the template in `body`, JSON or YAML; ValidationError when its form is not one that is understood here."""
    try:
        template = json.loads(body) if body.lstrip().startswith("{") else yaml.load(body, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (ValueError, yaml.YAMLError) as error:
        raise ValidationError(f"Template format error: {error}") from error
    if not isinstance(template, dict) or not isinstance(cast("JsonObject", template).get("Resources"), dict):
        raise ValidationError("Template format error: At least one Resources member must be defined.")
    template = cast("JsonObject", template)
    if unknown := sorted(set(template) - _SECTIONS):
        raise ValidationError(f"Template format error: this emulator does not know the section {', '.join(unknown)}")
    for logical, resource in template["Resources"].items():
        if unknown := sorted(set(resource) - _RESOURCE_KEYS):
            raise ValidationError(
                f"Template format error: resource {logical} has {', '.join(unknown)}, which this emulator does not know"
            )
    return template


def check_types(template: JsonObject, known: Callable[[str], bool]) -> None:
    """Refuse a template with a resource type that is not `known`, naming each type and logical id."""
    unknown = [
        f"{resource.get('Type')} ({logical})"
        for logical, resource in template["Resources"].items()
        if not known(resource.get("Type", ""))
    ]
    if unknown:
        raise ValidationError(
            f"Template format error: Unrecognized resource types: {', '.join(unknown)}. Nothing was created."
        )


def resolve_parameters(
    template: JsonObject, given: Mapping[str, str], read_ssm: Callable[[str], str]
) -> dict[str, Parameter]:
    """Return every declared parameter with its value, from `given` or its default; ValidationError for wrong ones."""
    declared: JsonObject = template.get("Parameters", {})
    if extra := sorted(set(given) - set(declared)):
        raise ValidationError(f"Parameters: [{', '.join(extra)}] do not exist in the template")
    missing = sorted(name for name, spec in declared.items() if name not in given and "Default" not in spec)
    if missing:
        raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        name: _parameter(name, spec, given.get(name, _plain(spec.get("Default"))), read_ssm)
        for name, spec in declared.items()
    }


def _parameter(name: str, spec: JsonObject, given: str, read_ssm: Callable[[str], str]) -> Parameter:
    allowed = [_plain(v) for v in spec.get("AllowedValues", [])]
    if allowed and given not in allowed:
        raise ValidationError(f"Parameter '{name}' must be one of AllowedValues: got {given!r}, wanted {allowed}")
    pattern = spec.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, given):
        raise ValidationError(f"Parameter '{name}' got {given!r}, wanted text that matches {pattern}")
    kind = str(spec.get("Type", "String"))
    ssm = _SSM.fullmatch(kind)
    resolved = read_ssm(given) if ssm else None
    text = given if resolved is None else resolved
    if kind == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise ValidationError(f"Parameter '{name}' got {text!r}, wanted a number")
    is_list = (ssm.group(1) if ssm else kind).startswith(_LIST_TYPES)
    value = [part.strip() for part in text.split(",")] if is_list else text
    return Parameter(given=given, value=value, resolved=resolved)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
