"""The bill that pricing functions write: one line an item, and what they may ask while they write it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from signalbox_guards.assembly import Assembly, Stack
from signalbox_guards.canonical import Json
from signalbox_guards.cost.prices import PriceTable
from signalbox_guards.errors import BadInput
from signalbox_guards.intrinsics import ABSENT, Intrinsics, references


class Line(BaseModel):
    """`usd` a month = `quantity` x the list price of one `unit`. `item` sums over resources of the same price."""

    model_config = ConfigDict(frozen=True)

    group: str
    item: str
    quantity: float
    unit: str
    price: float
    usd: float


@dataclass(frozen=True)
class Resource:
    """A resource that will exist, with its properties resolved."""

    stack: Stack
    logical_id: str
    type: str
    properties: Json

    @property
    def address(self) -> str:
        return f"{self.stack.name}/{self.logical_id}"

    def number(self, value: Any, what: str) -> float:
        """A number written as a number or a string; raises BadInput when only deployment tells."""
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{self.address}: {what}: wanted a number to price it by, got {value!r}") from error


class Bill:
    """Collects the lines of one configuration."""

    def __init__(self, assembly: Assembly, prices: PriceTable, usage: Mapping[str, float]) -> None:
        self._prices = prices
        self._usage = usage
        self._lines: dict[tuple[str, str], Line] = {}
        intrinsics = Intrinsics(assembly)
        self.resources: dict[str, Resource] = {}
        for stack in assembly.stacks.values():
            for logical_id, resource in stack.resources.items():
                if intrinsics.exists(stack, resource) is False:
                    continue
                properties = intrinsics.resolve(stack, resource.get("Properties", {}))
                found = Resource(stack, logical_id, resource["Type"], properties if properties is not ABSENT else {})
                self.resources[found.address] = found

    @property
    def lines(self) -> list[Line]:
        return sorted(self._lines.values(), key=lambda line: (line.group, line.item))

    def assumed(self, name: str) -> float:
        return self._usage[name]

    def add(self, group: str, item: str, price: str, quantity: float, *, times: float = 1.0) -> None:
        """Add `quantity` units at the price "service/name", `times` that price where a factor applies."""
        service, _, name = price.partition("/")
        row = self._prices.price(service, name)
        before = self._lines.get((group, item))
        total = quantity + (before.quantity if before else 0)
        unit_price = row.usd * times
        self._lines[group, item] = Line(
            group=group, item=item, quantity=total, unit=row.unit, price=unit_price, usd=total * unit_price
        )

    def vcpus(self, instance_class: str) -> int:
        return self._prices.price("aurora", instance_class).vcpu

    def factor(self, service: str, name: str) -> float:
        return self._prices.price(service, name).usd

    def compressed(self, service: str, name: str) -> float:
        return self._prices.price(service, name).compressed

    def of_type(self, type_name: str) -> Iterator[Resource]:
        return (resource for resource in self.resources.values() if resource.type == type_name)

    def target(self, value: Any) -> Resource | None:
        """The first resource that a resolved value refers to."""
        return next((self.resources[it] for it in references(value) if it in self.resources), None)

    def refers_to(self, type_name: str, resource: Resource) -> list[Resource]:
        """The resources of a type whose properties refer to `resource`."""
        return [it for it in self.of_type(type_name) if resource.address in references(it.properties)]
