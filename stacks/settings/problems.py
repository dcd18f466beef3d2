"""What is said of a wrong setting: its path, the value, where that came from, what is allowed, and how to mend it."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stacks.settings.model import Settings


class Source(StrEnum):
    """Lowest first."""

    PROFILE = "profile"
    FILE = "file"
    CONTEXT = "-c"
    ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Origin:
    """`where` is the profile's name, the file, or what the caller used."""

    source: Source
    where: str

    def __str__(self) -> str:
        match self.source:
            case Source.PROFILE:
                return f"profile {self.where}"
            case Source.FILE:
                return self.where
            case Source.CONTEXT:
                return "-c"
            case Source.ENVIRONMENT:
                return "the environment"

    def fix(self, path: str) -> str:
        """Return what to do to change the value at `path`."""
        match self.source:
            case Source.PROFILE | Source.CONTEXT:
                return f"pass -c {path}=VALUE"
            case Source.FILE:
                return f"change {path} in {self.where}"
            case Source.ENVIRONMENT:
                return f"set SIGNALBOX_DEPLOY_{path.upper().replace('.', '__')}"


class SettingsError(Exception):
    """One line for each wrong setting."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))


def explain(path: str, value: object, origin: Origin) -> str:
    """Return the line for one wrong value: path, value, origin, allowed, fix."""
    field, known = _field(path)
    if field is None:
        near = get_close_matches(path.rpartition(".")[2], known, n=1)
        return f"{path} (from {origin}): no such setting; allowed: {near[0] if near else ', '.join(known)}"
    got = "nothing" if value is None else repr(value)
    allowed = field.description or f"a mapping of {', '.join(known)}"
    return f"{path}: got {got} (from {origin}); allowed: {allowed}; {origin.fix(path)}"


def _field(path: str) -> tuple[FieldInfo | None, list[str]]:
    """Return the field at `path`, and the names that are known at the place where the search ended."""
    model: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    known = list(Settings.model_fields)
    for part in path.split("."):
        if part.isdigit():  # an item of a list has the list's description, or its model's fields
            continue
        if model is None or part not in model.model_fields:
            return (field, known) if model is None else (None, list(model.model_fields))
        field = model.model_fields[part]
        model = _model(field.annotation)
        known = list(model.model_fields) if model else []
    return field, known


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the section in an annotation such as Recovery | None or tuple[Exemption, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) is UnionType or get_args(annotation):
        return next((model for part in get_args(annotation) if (model := _model(part))), None)
    return None
