"""Cloud assemblies on disk: the stacks of one configuration, and a matrix of configurations.

A matrix is a folder with one assembly a configuration: MATRIX/dev, MATRIX/standard, ... What would hide resources from
the guards (a nested stack, a stage, a transform) is refused rather than skipped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import cast

from signalbox_guards.canonical import Json
from signalbox_guards.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Stack:
    """`name` is the artifact's id, unique in its assembly; `account`, `region` are None when it is not bound to any."""

    name: str
    stack_name: str
    account: str | None
    region: str | None
    termination_protection: bool
    template: Json

    @property
    def resources(self) -> Mapping[str, Json]:
        return self.template.get("Resources", {})

    @property
    def outputs(self) -> Mapping[str, Json]:
        return self.template.get("Outputs", {})


@dataclass(frozen=True)
class Assembly:
    """One configuration; its stacks by name, each after those that it depends on."""

    stacks: Mapping[str, Stack]

    def resource(self, address: str) -> Json:
        """The resource at "stack/LogicalId"; raises KeyError."""
        stack, _, logical_id = address.partition("/")
        return self.stacks[stack].resources[logical_id]


Matrix = Mapping[str, Assembly]


def parse_json(content: bytes, where: str) -> Json:
    """A JSON object; raises BadInput naming `where` it comes from."""
    try:
        value: object = json.loads(content)
    except ValueError as error:
        raise BadInput(f"{where}: wanted JSON, got: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{where}: wanted a JSON object, got {type(value).__name__}")
    return cast("Json", value)


def read_bytes(path: Path, wanted: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: wanted {wanted}, got: {error.strerror}") from error


def checked(template: Json, where: str) -> Json:
    """`template`, unless it holds what hides resources; raises BadInput."""
    if "Transform" in template:
        raise BadInput(f"{where}: has a Transform, whose result only CloudFormation knows")
    for logical_id, resource in template.get("Resources", {}).items():
        if "Type" not in resource:
            raise BadInput(f"{where}: {logical_id} has no Type")
        if resource["Type"] == "AWS::CloudFormation::Stack":
            raise BadInput(f"{where}: {logical_id} is a nested stack, wanted its resources in a stack")
    return template


def _environment(text: str) -> tuple[str | None, str | None]:
    account, _, region = text.removeprefix("aws://").partition("/")
    return (None if account == "unknown-account" else account), (None if region == "unknown-region" else region)


def _stack(directory: Path, name: str, artifact: Json) -> Stack:
    properties: Json = artifact.get("properties", {})
    file = str(properties.get("templateFile", ""))
    if not file:
        raise BadInput(f"{directory / 'manifest.json'}: stack {name} names no template file")
    path = directory / file
    account, region = _environment(str(artifact.get("environment", "")))
    return Stack(
        name=name,
        stack_name=str(properties.get("stackName", name)),
        account=account,
        region=region or None,
        termination_protection=properties.get("terminationProtection") is True,
        template=checked(parse_json(read_bytes(path, "a template of a cloud assembly"), str(path)), str(path)),
    )


def read_assembly(directory: Path) -> Assembly:
    """The assembly in `directory`. Raises BadInput naming the file that is wrong."""
    path = directory / "manifest.json"
    manifest = parse_json(read_bytes(path, "the manifest of a synthesised cloud assembly"), str(path))
    artifacts: dict[str, Json] = manifest.get("artifacts", {})
    stages = [name for name, artifact in artifacts.items() if artifact.get("type") == "cdk:cloud-assembly"]
    if stages:
        raise BadInput(f"{directory}: holds the stages {stages}: name one of their assemblies instead")
    names = {name for name, artifact in artifacts.items() if artifact.get("type") == "aws:cloudformation:stack"}
    if not names:
        raise BadInput(f"{path}: wanted at least one stack, got none")
    order = TopologicalSorter(
        {name: sorted(names.intersection(artifacts[name].get("dependencies", []))) for name in sorted(names)}
    ).static_order()
    return Assembly({name: _stack(directory, name, artifacts[name]) for name in order})


def read_matrix(directory: Path) -> Matrix:
    """The configurations of a matrix by name, or the one of an assembly named as its folder. Raises BadInput."""
    if (directory / "manifest.json").exists():
        return {directory.resolve().name: read_assembly(directory)}
    if not directory.is_dir():
        raise BadInput(f"{directory}: wanted a cloud assembly or a folder of them, got nothing of that name")
    found = {
        path.name: read_assembly(path) for path in sorted(directory.iterdir()) if (path / "manifest.json").exists()
    }
    if not found:
        raise BadInput(f"{directory}: wanted a folder with one cloud assembly a configuration, got none")
    return found
