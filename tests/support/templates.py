"""Reading a synthesised cloud assembly: resources of all stacks, and what refers to what across them."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "config" / "local.yaml"

Properties = dict[str, Any]  # CloudFormation JSON


@dataclass(frozen=True)
class Resource:
    """One resource; `name` is "stack/LogicalId" with the deployment's prefix left out."""

    name: str
    kind: str
    path: str
    definition: Properties

    @property
    def properties(self) -> Properties:
        return self.definition.get("Properties", {})


@dataclass(frozen=True)
class Rule:
    """One security group rule. `source` and `target` are construct paths, an address block or a prefix list."""

    source: str
    target: str
    ports: tuple[int, int]


class Synthesise(Protocol):
    def __call__(self, **changes: object) -> "Deployment":
        """Synthesise the app from config/local.yaml with some settings changed."""
        ...


class Deployments(Protocol):
    def __call__(self, name: str, /) -> "Deployment":
        """Synthesise a configuration of config/matrix, such as "lean"."""
        ...


class Deployment:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @cached_property
    def manifest(self) -> Properties:
        return json.loads((self.directory / "manifest.json").read_text())

    @cached_property
    def report(self) -> Properties:
        """What cdk-nag and CDK's own rules found, and what was accepted."""
        return json.loads((self.directory / "validation-report.json").read_text())

    @cached_property
    def templates(self) -> dict[str, Properties]:
        """Template by stack name."""
        return {
            file.name.removesuffix(".template.json"): json.loads(file.read_text())
            for file in sorted(self.directory.glob("*.template.json"))
        }

    @cached_property
    def resources(self) -> list[Resource]:
        return [
            Resource(f"{stack}/{logical_id}", item["Type"], item["Metadata"]["aws:cdk:path"], item)
            for stack, template in self.templates.items()
            for logical_id, item in template.get("Resources", {}).items()
        ]

    def all(self, kind: str) -> list[Resource]:
        """Return every resource of one type; at least one, so that a check over none cannot pass."""
        found = [resource for resource in self.resources if resource.kind == kind]
        assert found, f"no {kind} in {sorted(self.templates)}"
        return found

    def one(self, kind: str, path: str = "") -> Resource:
        """Return the only resource of a type whose construct path contains `path`."""
        found = [resource for resource in self.all(kind) if path in resource.path]
        assert len(found) == 1, f"wanted one {kind} at {path!r}, got {[resource.path for resource in found]}"
        return found[0]

    def target_of(self, value: object, stack: str) -> Resource | str:
        """Return the resource that a Ref, GetAtt or ImportValue leads to, over exports; a plain value as text.

        A reference to a parameter that is read from SSM is the name that it has there.
        """
        match value:
            case {"Ref": str(name)} if name in self.templates[stack].get("Parameters", {}):
                return str(self.templates[stack]["Parameters"][name]["Default"])
            case {"Fn::ImportValue": str(name)}:
                producer, exported = self._exports[name]
                return self.target_of(exported, producer)
            case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), str()]}:
                return next(resource for resource in self.resources if resource.name == f"{stack}/{logical_id}")
            case _:
                return str(value)

    def refers(self, resource: Resource, value: object) -> Resource | str:
        """Return what `value`, found in `resource`, leads to."""
        return self.target_of(value, resource.name.split("/")[0])

    @cached_property
    def _exports(self) -> dict[str, tuple[str, object]]:
        return {
            output["Export"]["Name"]: (stack, output["Value"])
            for stack, template in self.templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def rules(self, direction: str) -> set[Rule]:
        """Return every "Ingress" or "Egress" rule of every group, inline and standalone alike."""
        found = set[Rule]()
        for group in self.all("AWS::EC2::SecurityGroup"):
            for rule in group.properties.get(f"SecurityGroup{direction}", []):
                found.add(self._rule(group, rule, direction, owner=group))
        for standalone in self.all(f"AWS::EC2::SecurityGroup{direction}"):
            owner = self.refers(standalone, standalone.properties["GroupId"])
            assert isinstance(owner, Resource)
            found.add(self._rule(standalone, standalone.properties, direction, owner=owner))
        return found

    def _rule(self, where: Resource, rule: Properties, direction: str, *, owner: Resource) -> Rule:
        peers = [
            value
            for key, value in rule.items()
            if key.startswith(("Cidr", "SourceSecurity", "SourcePrefix", "DestinationSecurity", "DestinationPrefix"))
        ]
        assert len(peers) == 1, f"{where.path}: wanted one peer, got {rule}"
        peer = self.refers(where, peers[0])
        other = _short(peer.path) if isinstance(peer, Resource) else peer
        ends = (other, _short(owner.path)) if direction == "Ingress" else (_short(owner.path), other)
        return Rule(*ends, (rule["FromPort"], rule["ToPort"]))


def _short(path: str) -> str:
    """Name a security group by what it protects: "signalbox-service/Serve/SecurityGroup/Resource" is "Serve"."""
    return path.split("/", 1)[1].removesuffix("/Resource").removesuffix("/SecurityGroup")
