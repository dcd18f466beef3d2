"""The estimate of a matrix: lines by configuration, and the guard against a baseline."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from signalbox_guards.assembly import Assembly, Matrix, read_bytes
from signalbox_guards.canonical import pretty
from signalbox_guards.cost.bill import Bill, Line
from signalbox_guards.cost.prices import PriceTable, Usage
from signalbox_guards.cost.types import PRICED, why_free
from signalbox_guards.errors import BadInput

ALLOWED_GROWTH = 0.10
_CENT = 0.01


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Free(Frozen):
    type: str
    count: int
    why: str


class Estimate(Frozen):
    """A month of one configuration, in USD. `regions`: where its stacks are; all are priced by the one table."""

    configuration: str
    regions: tuple[str, ...]
    lines: tuple[Line, ...]
    free: tuple[Free, ...]

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)


class Estimates(Frozen):
    region: str
    as_of: date
    estimates: tuple[Estimate, ...]


class Baseline(Frozen):
    """USD a month by configuration and "group / item", as `--write` left it."""

    as_of: date
    configurations: Mapping[str, Mapping[str, float]]


class Growth(Frozen):
    """A configuration that costs more than the baseline allows; `items` are those that grew, the largest first."""

    configuration: str
    before: float
    after: float
    items: tuple[str, ...]


def _estimate(name: str, assembly: Assembly, prices: PriceTable, usage: Mapping[str, float]) -> Estimate:
    bill = Bill(assembly, prices, usage)
    free: Counter[str] = Counter()
    for resource in bill.resources.values():
        if price := PRICED.get(resource.type):
            price(bill, resource)
        elif why_free(resource.type):
            free[resource.type] += 1
        else:
            raise BadInput(
                f"{name}: {resource.address}: {resource.type}: wanted a type that is priced or known to be free, "
                "got neither: add it to cost/types.py or cost/free.yaml"
            )
    return Estimate(
        configuration=name,
        regions=tuple(dict.fromkeys(stack.region or "any region" for stack in assembly.stacks.values())),
        lines=tuple(bill.lines),
        free=tuple(
            Free(type=type_name, count=free[type_name], why=why_free(type_name) or "") for type_name in sorted(free)
        ),
    )


def estimate(matrix: Matrix, prices: PriceTable, usage: Usage) -> Estimates:
    """What each configuration costs in a month. Raises BadInput on a type or a setting that has no price."""
    return Estimates(
        region=prices.region,
        as_of=prices.as_of,
        estimates=tuple(_estimate(name, matrix[name], prices, usage.of(name)) for name in matrix),
    )


def baseline_of(estimates: Estimates) -> Baseline:
    return Baseline(
        as_of=estimates.as_of,
        configurations={
            it.configuration: {f"{line.group} / {line.item}": round(line.usd, 2) for line in it.lines}
            for it in estimates.estimates
        },
    )


def read_baseline(path: Path) -> Baseline:
    try:
        return Baseline.model_validate_json(read_bytes(path, "a baseline of costs"))
    except ValidationError as error:
        raise BadInput(f"{path}: wanted a baseline as --write makes it, got: {error}") from error


def write_baseline(path: Path, baseline: Baseline) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pretty(baseline.model_dump(mode="json")))


def growths(baseline: Baseline, estimates: Estimates) -> list[Growth]:
    """The configurations that cost over 10 % more than the baseline; raises BadInput on one that it does not have."""
    found: list[Growth] = []
    now = baseline_of(estimates).configurations
    if unknown := sorted(set(now) - set(baseline.configurations)):
        raise BadInput(f"baseline: wanted a cost of {unknown}, got none: accept theirs with --write")
    for name, after in now.items():
        before = baseline.configurations[name]
        if sum(after.values()) <= sum(before.values()) * (1 + ALLOWED_GROWTH):
            continue
        grown = {item: after[item] - before.get(item, 0.0) for item in after}
        items = sorted((item for item in grown if grown[item] >= _CENT), key=lambda item: -grown[item])
        found.append(
            Growth(
                configuration=name,
                before=round(sum(before.values()), 2),
                after=round(sum(after.values()), 2),
                items=tuple(f"{item}: {before.get(item, 0.0):.2f} -> {after[item]:.2f}" for item in items),
            )
        )
    return found
