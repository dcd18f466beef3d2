"""In which order the resources of a template may be created: what a resource needs comes before it."""

from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from signalbox_emulator.cloudformation.errors import ValidationError
from signalbox_emulator.cloudformation.intrinsics import references

JsonObject = dict[str, Any]


def needs(template: JsonObject, is_active: Callable[[str], bool]) -> dict[str, set[str]]:
    """Return for each active resource the active resources that it refers to or depends on.

    ValidationError when a resource or an output refers to something that the template does not have.
    """
    declared: JsonObject = template["Resources"]
    active = {name: spec for name, spec in declared.items() if "Condition" not in spec or is_active(spec["Condition"])}
    known = set(active) | set(template.get("Parameters", {}))
    found: dict[str, set[str]] = {}
    for logical, spec in active.items():
        named = set(references(spec.get("Properties", {}), is_active))
        explicit = spec.get("DependsOn", [])
        explicit = {explicit} if isinstance(explicit, str) else set(explicit)
        _refuse_unknown(named | (explicit - set(declared)), known, f"resource {logical}")
        found[logical] = (named | explicit) & set(active)
    for name, output in template.get("Outputs", {}).items():
        if "Condition" not in output or is_active(output["Condition"]):
            _refuse_unknown(set(references(output, is_active)), known, f"output {name}")
    return found


def creation_order(needed: dict[str, set[str]]) -> list[str]:
    """Return the keys of `needed`, each after those it needs and else in the template's order."""
    try:
        return list(TopologicalSorter(needed).static_order())
    except CycleError as error:
        raise ValidationError(f"Circular dependency between resources: {error.args[1]}") from error


def _refuse_unknown(named: set[str], known: set[str], where: str) -> None:
    unknown = sorted(name for name in named - known if not name.startswith("AWS::"))
    if unknown:
        raise ValidationError(f"Template format error: Unresolved resource dependencies {unknown} in {where}")
