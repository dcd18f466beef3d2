"""Resources of an assembly by type, and their properties with CloudFormation's types straightened.

Rule: a missing property is None, which no control takes for a pass. The few CloudFormation defaults that are proven
safe to rely on are listed in SAFE_DEFAULTS with their source, and nowhere else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast  # template values are free JSON

from signalbox_evidence.facts.world import BroughtAlong, Fact, Subject, Unknown
from signalbox_evidence.template.assembly import Assembly, Json, StackTemplate
from signalbox_evidence.template.intrinsics import ABSENT, Intrinsics

_REFERENCE = re.compile(r"\$\{([^{}/]+/[^{}.]+)\.[^{}]+\}")

SAFE_DEFAULTS: dict[tuple[str, str], Any] = {
    ("AWS::KMS::Key", "Enabled"): True,  # AWS::KMS::Key: "a KMS key is enabled by default"
    ("AWS::KMS::Key", "KeySpec"): "SYMMETRIC_DEFAULT",  # AWS::KMS::Key: "The default value, SYMMETRIC_DEFAULT"
    ("AWS::KMS::Key", "PendingWindowInDays"): 30,  # AWS::KMS::Key: "If you do not include a value, it defaults to 30"
    ("AWS::RDS::DBInstance", "PromotionTier"): 1,  # RDS CreateDBInstance: "Default: 1"
    ("AWS::ECS::Service", "EnableExecuteCommand"): False,  # ECS CreateService: off unless asked for
    ("AWS::ECS::TaskDefinition", "Privileged"): False,  # ECS ContainerDefinition: off; Fargate refuses it
}


@dataclass(frozen=True)
class Resource:
    stack: StackTemplate
    logical_id: str
    raw: Json
    intrinsics: Intrinsics

    @property
    def type(self) -> str:
        return str(self.raw["Type"])

    @property
    def id(self) -> str:
        return f"{self.stack.name}/{self.logical_id}"

    @property
    def subject(self) -> Subject:
        path = self.raw.get("Metadata", {}).get("aws:cdk:path")
        return Subject(type=self.type, id=self.id, name=path)

    def get(self, path: str) -> Any:
        """The property at that dotted path, resolved; None when it is missing, Unknown when it cannot be told."""
        value: Any = self.raw.get("Properties", {})
        for name in path.split("."):
            value = self.intrinsics.resolve(self.stack, value) if _is_function(value) else value
            if isinstance(value, Unknown):
                return value
            if not isinstance(value, dict):
                return None
            value = cast("Json", value).get(name)
        resolved = self.intrinsics.resolve(self.stack, value)
        if resolved is None or resolved is ABSENT:
            return SAFE_DEFAULTS.get((self.type, path))
        return resolved

    def resolve(self, value: Any) -> Any:
        """A value of this resource's stack, resolved."""
        return self.intrinsics.resolve(self.stack, value)

    def attribute(self, name: str) -> Fact[str]:
        """A resource attribute beside the properties, such as DeletionPolicy."""
        value = self.intrinsics.resolve(self.stack, self.raw.get(name))
        return value if value is None or isinstance(value, Unknown) else str(value)

    def boolean(self, path: str) -> Fact[bool]:
        return boolean(self.get(path), f"{self.id} {path}")

    def number(self, path: str) -> Fact[int]:
        return number(self.get(path), f"{self.id} {path}")

    def text(self, path: str) -> Fact[str]:
        return text(self.get(path))

    def texts(self, path: str) -> Fact[tuple[str, ...]]:
        return texts(self.get(path), f"{self.id} {path}")


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and any(key == "Ref" or key.startswith("Fn::") for key in cast("Json", value))


def boolean(value: Any, where: str) -> Fact[bool]:
    """CloudFormation takes `true` and `"true"` for the same."""
    if value is None or isinstance(value, bool | Unknown):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    return Unknown(f"{where}: wanted true or false, got {value}")


def number(value: Any, where: str) -> Fact[int]:
    if value is None or isinstance(value, Unknown):
        return value
    try:
        return int(str(value))
    except ValueError:
        return Unknown(f"{where}: wanted a whole number, got {value}")


def _id_or_text(value: Any) -> str:
    written = str(value)
    match = _REFERENCE.fullmatch(written)
    return match.group(1) if match else written


def text(value: Any) -> Fact[str]:
    """A text; a reference to a resource of the assembly, alone, becomes that resource's id."""
    return value if value is None or isinstance(value, Unknown) else _id_or_text(value)


def texts(value: Any, where: str) -> Fact[tuple[str, ...]]:
    if value is None or isinstance(value, Unknown):
        return value
    if not isinstance(value, list):
        return Unknown(f"{where}: wanted a list, got {value}")
    return tuple(_id_or_text(item) for item in cast("list[Any]", value))


class Resources:
    """The resources of an assembly, ordered by id. Those under a condition that is false are left out."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        intrinsics = Intrinsics(assembly)
        self._all = sorted(
            (
                Resource(stack, logical_id, raw, intrinsics)
                for stack in assembly.stacks
                for logical_id, raw in stack.resources.items()
                if intrinsics.exists(stack, raw)
            ),
            key=lambda resource: resource.id,
        )

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._all)

    def of(self, *types: str) -> list[Resource]:
        return [resource for resource in self._all if resource.type in types]

    def brought_along(self, type_name: str) -> list[tuple[Subject, BroughtAlong]]:
        """What the deployment was given of that type, each with what stands for all of its attributes."""
        ids = sorted({it for stack in self.assembly.stacks for it in stack.brought_along.get(type_name, [])})
        return [(Subject(type=type_name, id=it), BroughtAlong(it)) for it in ids]

    def by_id(self, resource_id: str) -> Resource | None:
        return next((resource for resource in self._all if resource.id == resource_id), None)
