"""The dated price table and the usage assumptions: both are data files, with a unit and a source or reason each."""

from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from signalbox_guards.errors import BadInput

TABLE = "prices/us-east-1-2026-11.yaml"
USAGE = "usage.yaml"


class Price(BaseModel):
    """`usd` a `unit`; `vcpu` of an instance class, `compressed` the share of a stored log that is billed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: float
    unit: str
    vcpu: int = 0
    compressed: float = 1.0


class PriceTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    as_of: date
    sources: Mapping[str, str]
    prices: Mapping[str, Mapping[str, Price]]

    def price(self, service: str, name: str) -> Price:
        """Raises BadInput when the table has no such price: nothing is ever priced at zero for want of a row."""
        try:
            return self.prices[service][name]
        except KeyError as error:
            raise BadInput(f"{TABLE}: wanted a price of {service}/{name}, got none: add it with its source") from error


class Assumption(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    unit: str
    why: str


class Usage(BaseModel):
    """The assumptions, and what single configurations assume instead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assumptions: Mapping[str, Assumption]
    configurations: Mapping[str, Mapping[str, float]]

    def of(self, configuration: str) -> dict[str, float]:
        """Every assumed value of one configuration. Raises BadInput on an override of nothing."""
        changed = self.configurations.get(configuration, {})
        if unknown := sorted(set(changed) - set(self.assumptions)):
            raise BadInput(f"usage of {configuration}: wanted names of assumptions, got {unknown}")
        return {name: row.value for name, row in self.assumptions.items()} | dict(changed)


def _yaml(path: Path | None, packaged: str) -> tuple[Any, str]:
    try:
        text = path.read_text() if path else files("signalbox_guards").joinpath(packaged).read_text()
        return yaml.safe_load(text), str(path or packaged)
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{path or packaged}: wanted a YAML file, got: {error}") from error


def read_prices() -> PriceTable:
    content, where = _yaml(None, TABLE)
    try:
        table = PriceTable.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{where}: wanted a price table, got: {error}") from error
    if unsourced := sorted(set(table.prices) - set(table.sources)):
        raise BadInput(f"{where}: wanted a source of each service, got none of {unsourced}")
    return table


def read_usage(path: Path | None = None) -> Usage:
    """The assumptions at `path`, else those of the package. Raises BadInput."""
    content, where = _yaml(path, USAGE)
    try:
        return Usage.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{where}: wanted usage assumptions, got: {error}") from error
