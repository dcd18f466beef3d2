"""The declared list of resource types that are guarded, with its reasons: stateful.yaml."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Guarded:
    """`holds_data`: of the type itself; else something that holds data depends on it. `order`: DependsOn counts."""

    why: str
    holds_data: bool
    order: bool


@cache
def _listed() -> dict[str, Guarded]:
    content = yaml.safe_load(files("signalbox_guards").joinpath("stateful.yaml").read_text())
    return {
        name: Guarded(row["why"], kind == "data", row.get("order", False))
        for kind, rows in content.items()
        for name, row in rows.items()
    }


def guarded(type_name: str) -> Guarded | None:
    """Why resources of that type are guarded; None when they are not."""
    return _listed().get(type_name)
