"""Which properties of a resource type cannot change without a new resource: the providers' own schemas.

The schemas are those that cfn-lint carries, for each region. Only its bundled copy is read, never a newer one in the
user's cache: the same commit gives the same answer on every machine, without a network.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast  # property values are free JSON

from signalbox_guards.assembly import parse_json, read_bytes
from signalbox_guards.canonical import Json

_FALLBACK = "us-east-1"  # has every type; also cfn-lint's own choice for a region it does not know

PropertyPath = tuple[str, ...]
"""`("VpcConfig", "SubnetIds")`; "*" stands for every element of a list."""

EVERY: PropertyPath = ()
"""The whole of the properties: of a type that no schema knows, every change is taken to replace."""


@dataclass(frozen=True)
class CreateOnly:
    """Paths whose change replaces always, and those whose change replaces under conditions the provider decides."""

    always: tuple[PropertyPath, ...]
    conditional: tuple[PropertyPath, ...]

    @property
    def all(self) -> tuple[PropertyPath, ...]:
        return (*self.always, *self.conditional)


def _paths(pointers: list[str]) -> tuple[PropertyPath, ...]:
    return tuple(sorted(tuple(pointer.removeprefix("/properties/").split("/")) for pointer in pointers))


@cache
def _data() -> Path:
    """cfn-lint's schema folder, found without importing cfn-lint, which takes seconds."""
    spec = find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("cfn-lint, which carries the provider schemas, is not installed")
    return Path(spec.origin).parent / "data" / "schemas"


@cache
def _types(region: str) -> Json:
    """Schema file by type, of one region."""
    path = _data() / "providers" / f"{region}.json"
    if not path.exists():
        path = _data() / "providers" / f"{_FALLBACK}.json"
    return parse_json(read_bytes(path, "the schemas of cfn-lint"), str(path))


def schema_date() -> str:
    """When the provider schemas were collected, as `2026-10-20T22:11:15Z`."""
    path = _data() / "version.json"
    return str(parse_json(read_bytes(path, "the schemas of cfn-lint"), str(path))["schema_date"])


@cache
def create_only(type_name: str, region: str | None) -> CreateOnly:
    """What cannot change in place. A property that is read only is in no template, so it does not matter here."""
    name = "AWS::CloudFormation::CustomResource" if type_name.startswith("Custom::") else type_name
    file = _types(region or _FALLBACK).get(name) or _types(_FALLBACK).get(name)
    if file is None:
        return CreateOnly(always=(EVERY,), conditional=())
    path = _data() / "resources" / f"{file}.json"
    schema = parse_json(read_bytes(path, "the schemas of cfn-lint"), str(path))
    return CreateOnly(
        always=_paths(schema.get("createOnlyProperties", [])),
        conditional=_paths(schema.get("conditionalCreateOnlyProperties", [])),
    )


def at(value: Any, path: PropertyPath) -> Any:
    """The part of resolved properties at `path`; None when nothing is written there.

    Where an intrinsic that only CloudFormation resolves stands on the way, that intrinsic is the value.
    """
    if not path or value is None:
        return value
    name, *rest = path
    if name == "*" and isinstance(value, list):
        found = [at(item, tuple(rest)) for item in cast("list[Any]", value)]
        return found if any(item is not None for item in found) else None
    if isinstance(value, dict):
        table = cast("Json", value)
        if name in table:
            return at(table[name], tuple(rest))
        if len(table) == 1 and next(iter(table)).startswith(("Fn::", "Ref")):
            return table
    return None
