"""A CDK cloud assembly on disk: its stacks, their templates with digests, and what synthesis-time validation found.

Everything is read once and whole. What would hide resources from the controls (a nested stack, a stage, a transform)
is refused rather than skipped.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args  # templates are free JSON

from pydantic import TypeAdapter, ValidationError

from signalbox_evidence.canonical import digest
from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.errors import BadInput

Json = dict[str, Any]

_Given = Literal["AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::KMS::Key"]
"""What a deployment may be given; any other id that no template declares is a stranger."""


@dataclass(frozen=True, kw_only=True)
class StackTemplate:
    """`account` and `region` are None when the stack is not bound to an environment."""

    name: str
    file: str
    sha256: str
    account: str | None
    region: str | None
    termination_protection: bool
    body: Json

    @property
    def resources(self) -> Mapping[str, Json]:
        return self.body.get("Resources", {})

    @property
    def brought_along(self) -> Mapping[str, list[str]]:
        """Ids, or ARNs of keys, by resource type: what the stack's metadata says the deployment was given."""
        return self.body.get("Metadata", {}).get("Signalbox", {}).get("BroughtAlong", {})


class ToolFinding(Frozen):
    """One finding of a validation plugin (cdk-nag): a second opinion, shown beside ours and never instead of it."""

    plugin: str
    rule: str
    description: str
    constructs: list[str]
    acknowledged_reason: str | None


class Validation(Frozen):
    """`present` is False when synthesis left no validation report."""

    present: bool
    plugins: list[str]
    violations: list[ToolFinding]
    acknowledged: list[ToolFinding]


NO_VALIDATION = Validation(present=False, plugins=[], violations=[], acknowledged=[])


@dataclass(frozen=True)
class Assembly:
    """Templates of one account, of one region or several; the first stack's region is the primary one."""

    stacks: tuple[StackTemplate, ...]
    validation: Validation

    def brought_along(self, *, region: str | None) -> Mapping[str, list[str]]:
        """Ids by resource type, of the stacks of one region."""
        return _united(stack.brought_along for stack in self.stacks if stack.region == region)


def _united(tables: Iterable[Mapping[str, list[str]]]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table in tables:
        for type_name, ids in table.items():
            found.setdefault(type_name, []).extend(ids)
    return found


def _json(path: Path) -> tuple[Json, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: wanted a file of a synthesised cloud assembly, got: {error.strerror}") from error
    try:
        value: object = json.loads(content)
    except ValueError as error:
        raise BadInput(f"{path}: wanted JSON, got: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path}: wanted a JSON object, got {type(value).__name__}")
    return cast("Json", value), digest(content)


def _environment(text: str) -> tuple[str | None, str | None]:
    account, _, region = text.removeprefix("aws://").partition("/")
    return (None if account == "unknown-account" else account), (None if region == "unknown-region" else region)


def refuse_what_hides(body: Json, where: str) -> None:
    """Raise BadInput for a template that would hide resources from the controls."""
    given: object = body.get("Metadata", {}).get("Signalbox", {}).get("BroughtAlong", {})
    try:
        TypeAdapter(dict[_Given, list[str]]).validate_python(given, strict=True)
    except ValidationError as error:
        raise BadInput(f"{where}: BroughtAlong: wanted lists of ids by {get_args(_Given)}, got {given}") from error
    if "Transform" in body:
        raise BadInput(f"{where}: has a Transform, whose result only CloudFormation knows")
    for logical_id, resource in body.get("Resources", {}).items():
        if resource.get("Type") == "AWS::CloudFormation::Stack":
            raise BadInput(f"{where}: {logical_id} is a nested stack, wanted its resources in a stack")


def _stack(directory: Path, name: str, artifact: Json) -> StackTemplate:
    properties: Json = artifact.get("properties", {})
    file = str(properties.get("templateFile", ""))
    if not file:
        raise BadInput(f"{directory / 'manifest.json'}: stack {name} names no template file")
    body, sha256 = _json(directory / file)
    refuse_what_hides(body, str(directory / file))
    account, region = _environment(str(artifact.get("environment", "")))
    return StackTemplate(
        name=str(properties.get("stackName", name)),
        file=file,
        sha256=sha256,
        account=account,
        region=region,
        termination_protection=properties.get("terminationProtection") is True,
        body=body,
    )


def _tool_finding(plugin: str, row: Json) -> ToolFinding:
    return ToolFinding(
        plugin=plugin,
        rule=str(row.get("ruleName", "")),
        description=str(row.get("description", "")),
        constructs=[str(item.get("constructPath", "")) for item in row.get("violatingConstructs", [])],
        acknowledged_reason=row.get("reason"),
    )


def _validation(directory: Path) -> Validation:
    path = directory / "validation-report.json"
    if not path.exists():
        return NO_VALIDATION
    plugins: list[Json] = _json(path)[0].get("pluginReports", [])
    names = [str(plugin.get("pluginName", "")) for plugin in plugins]
    pairs = list(zip(names, plugins, strict=True))
    return Validation(
        present=True,
        plugins=names,
        violations=[_tool_finding(name, row) for name, plugin in pairs for row in plugin.get("violations", [])],
        acknowledged=[
            _tool_finding(name, row) for name, plugin in pairs for row in plugin.get("suppressedViolations", [])
        ],
    )


def read_assembly(directory: Path) -> Assembly:
    """The assembly in `directory`, stacks in manifest order. Raises BadInput naming the file that is wrong."""
    manifest, _ = _json(directory / "manifest.json")
    artifacts: dict[str, Json] = manifest.get("artifacts", {})
    stages = [name for name, artifact in artifacts.items() if artifact.get("type") == "cdk:cloud-assembly"]
    if stages:
        raise BadInput(f"{directory}: holds the stages {stages}: name one of their assemblies instead")
    stacks = tuple(
        _stack(directory, name, artifact)
        for name, artifact in artifacts.items()
        if artifact.get("type") == "aws:cloudformation:stack"
    )
    names = [stack.name for stack in stacks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"{directory / 'manifest.json'}: wanted a stack name once over all regions, got twice {twice}")
    if not stacks:
        raise BadInput(f"{directory / 'manifest.json'}: wanted at least one stack, got none")
    return Assembly(stacks, _validation(directory))
