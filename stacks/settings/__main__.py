"""`python -m stacks.settings`: the settings in force with the origin of each, or their JSON Schema for editors."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import cyclopts
from cyclopts import Parameter

from stacks.settings.model import Settings
from stacks.settings.problems import SettingsError
from stacks.settings.sources import read_configuration

app = cyclopts.App(name="python -m stacks.settings", help="The settings of one deployment.")

_BAD_INPUT = 2


@app.command
def show(
    *,
    c: Annotated[
        list[str] | None, Parameter(name="-c", help="A setting, as for cdk: path=value, or config=FILE.")
    ] = None,
    output: Annotated[Literal["text", "json"], Parameter(name=["-o", "--output"])] = "text",
) -> int:
    """Print every setting with its value and where that came from. Ends with 2 when one is wrong."""
    context: dict[str, object] = {path: value for path, _, value in (pair.partition("=") for pair in c or [])}
    try:
        found = read_configuration(context, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return _BAD_INPUT
    rows = [
        {"path": path, "value": value, "origin": str(found.origins.get(path, "default"))}
        for path, value in _leaves(found.settings.model_dump(mode="json"))
    ]
    if output == "json":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        width = max(len(str(row["path"])) for row in rows)
        sys.stdout.writelines(f"{row['path']:{width}}  {row['value']}  ({row['origin']})\n" for row in rows)
    return 0


@app.command
def schema(*, write: Path | None = None) -> int:
    """Print the JSON Schema of a settings file, or write it to a file.

    A file may leave out what its profile says, so nothing but the profile is required.
    """
    made = Settings.model_json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    made["required"] = ["profile"]
    for section in cast("dict[str, dict[str, object]]", made["$defs"]).values():
        section.pop("required", None)
    text = json.dumps(made, indent=2) + "\n"
    if write:
        write.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def _leaves(tree: object, prefix: str = "") -> list[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        below = cast("dict[str, object]", tree)
        return [leaf for key, value in below.items() for leaf in _leaves(value, f"{prefix}.{key}".lstrip("."))]
    return [(prefix, tree)]


if __name__ == "__main__":
    sys.exit(app())
