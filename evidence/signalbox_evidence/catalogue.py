"""The control catalogue: what is claimed, why, how bad a failure is, and in which modes it is really checked.

Ids are stable for ever; a changed meaning takes a new id. One id serves the template and the live account.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from signalbox_evidence.canonical import canonical, digest
from signalbox_evidence.errors import BadInput

ParamValue = int | list[str]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Cadence(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"


class Mode(StrEnum):
    TEMPLATE = "template"
    LIVE = "live"


class WhenEmpty(StrEnum):
    """What it means that there is nothing to check. Never a pass."""

    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"


class Empty(Frozen):
    status: WhenEmpty
    reason: str


class Mappings(Frozen):
    """Where other frameworks ask for the same thing; an empty list means that they do not."""

    tsc2017: list[str]
    nist80053r5: list[str]
    iso27001_2022: list[str]
    cis_aws_3: list[str]
    hipaa: list[str]


class Param(Frozen):
    """A typed value of a control. Integers have a range; lists may be restricted to `choices`."""

    title: str
    default: ParamValue
    minimum: int | None = None
    maximum: int | None = None
    choices: list[str] | None = None

    def accept(self, where: str, value: ParamValue) -> ParamValue:
        """`value` if it is allowed; raises BadInput naming `where`, what was wanted and what was got."""
        if isinstance(self.default, int):
            if not isinstance(value, int):
                raise BadInput(f"{where}: wanted a whole number, got {value!r}")
            low, high = self.minimum, self.maximum
            if (low is not None and value < low) or (high is not None and value > high):
                raise BadInput(f"{where}: wanted {low} to {high}, got {value}")
            return value
        if isinstance(value, int):
            raise BadInput(f"{where}: wanted a list, got {value!r}")
        strange = [item for item in value if self.choices is not None and item not in self.choices]
        if strange:
            raise BadInput(f"{where}: wanted a subset of {self.choices}, got {strange}")
        return value

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if isinstance(self.default, int) and (self.minimum is None or self.maximum is None):
            raise ValueError("an integer needs a minimum and a maximum")
        try:
            self.accept("default", self.default)
        except BadInput as error:
            raise ValueError(str(error)) from error
        return self


class Control(Frozen):
    id: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2}$")]
    title: str
    statement: str
    rationale: str
    severity: Severity
    cadence: Cadence
    modes: Annotated[list[Mode], Field(min_length=1)]
    not_checked: dict[str, str] = {}  # what the statement might suggest but no check proves, with the reason
    empty: Empty
    mappings: Mappings
    params: dict[str, Param] = {}

    @model_validator(mode="after")
    def _an_unchecked_mode_is_explained(self) -> Self:
        silent = [mode for mode in Mode if mode not in self.modes and mode.value not in self.not_checked]
        if silent:
            raise ValueError(f"{self.id}: says nothing about the modes {silent}: check them or explain in not_checked")
        return self


class Catalogue(Frozen):
    controls: list[Control]
    sha256: str

    def control(self, control_id: str) -> Control:
        """The control of that id; raises BadInput if there is none."""
        for control in self.controls:
            if control.id == control_id:
                return control
        raise BadInput(f"no control {control_id!r}: see `signalbox-evidence controls`")


class Params:
    """The values in force for one control: defaults, or what was set within the allowed range."""

    def __init__(self, control: Control, changes: Mapping[str, ParamValue]) -> None:
        unknown = changes.keys() - control.params.keys()
        if unknown:
            raise BadInput(f"{control.id}: no parameter {sorted(unknown)}: it has {sorted(control.params)}")
        self.values: dict[str, ParamValue] = {
            name: param.accept(f"{control.id}.{name}", changes.get(name, param.default))
            for name, param in control.params.items()
        }

    def number(self, name: str) -> int:
        value = self.values[name]
        if not isinstance(value, int):
            raise TypeError(f"parameter {name} is a list")
        return value

    def words(self, name: str) -> list[str]:
        value = self.values[name]
        if isinstance(value, int):
            raise TypeError(f"parameter {name} is a number")
        return value


@cache
def load() -> Catalogue:
    """The catalogue shipped with this package, in id order; its digest covers every field of every control."""
    controls: list[Control] = []
    for entry in sorted(files("signalbox_evidence").joinpath("controls").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".yaml"):
            for row in yaml.safe_load(entry.read_text(encoding="utf-8")):
                try:
                    controls.append(Control.model_validate(row))
                except ValidationError as error:
                    raise BadInput(f"{entry.name}: {error}") from error
    ids = [control.id for control in controls]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise BadInput(f"controls declared twice: {twice}")
    controls.sort(key=lambda control: control.id)
    content = canonical([control.model_dump(mode="json") for control in controls])
    return Catalogue(controls=controls, sha256=digest(content))
