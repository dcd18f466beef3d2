"""Assemblies written by hand: templates in memory, or as the folder that the CDK would leave."""

import json
from pathlib import Path
from typing import Any  # templates are free JSON

from signalbox_guards.assembly import Assembly, Stack

Json = dict[str, Any]


def stack(name: str, resources: Json, *, protected: bool = False, region: str = "us-east-1", **sections: Json) -> Stack:
    return Stack(
        name=name,
        stack_name=name,
        account="000000000000",
        region=region,
        termination_protection=protected,
        template={"Resources": resources, **sections},
    )


def assembly(*stacks: Stack) -> Assembly:
    return Assembly({found.name: found for found in stacks})


def write_assembly(directory: Path, *stacks: Stack) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    artifacts: Json = {}
    for found in stacks:
        file = f"{found.name}.template.json"
        (directory / file).write_text(json.dumps(found.template))
        artifacts[found.name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{found.account}/{found.region}",
            "properties": {"templateFile": file, "terminationProtection": found.termination_protection},
        }
    (directory / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": artifacts}))
    return directory


def resource(type_name: str, properties: Json | None = None, **attributes: Any) -> Json:
    return {"Type": type_name, "Properties": properties or {}, **attributes}
