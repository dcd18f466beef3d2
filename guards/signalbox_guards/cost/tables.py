"""An estimate as text for a terminal and as Markdown for the documentation."""

from collections.abc import Iterator

from signalbox_guards.cost.estimate import Estimate, Estimates, Growth
from signalbox_guards.cost.prices import PriceTable, Usage

_CAVEAT = "list prices as known, on demand, without discounts and taxes; verify them before publishing"


def growth_text(growth: Growth) -> str:
    more = growth.after / growth.before - 1 if growth.before else float("inf")
    head = f"{growth.configuration}: wanted at most 10 % more than {growth.before:.2f} USD, got {growth.after:.2f} "
    return "\n".join([f"{head}({more:+.0%})", *(f"    {item}" for item in growth.items)])


def _by_group(found: Estimate) -> dict[str, float]:
    groups: dict[str, float] = {}
    for line in found.lines:
        groups[line.group] = groups.get(line.group, 0.0) + line.usd
    return groups


def text(estimates: Estimates) -> str:
    lines = [f"USD a month, {estimates.region}, {estimates.as_of}: {_CAVEAT}"]
    for found in estimates.estimates:
        lines += ["", f"{found.configuration}: {found.usd:.2f} ({', '.join(found.regions)})"]
        for group, usd in _by_group(found).items():
            lines.append(f"  {group:<38}{usd:>10.2f}")
            lines += [
                f"    {line.item:<36}{line.usd:>10.2f}  {line.quantity:,.2f} x {line.price:.6g} a {line.unit}"
                for line in found.lines
                if line.group == group
            ]
        free = sum(it.count for it in found.free)
        lines.append(f"  free: {free} resources of {len(found.free)} types (-o json tells why)")
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(estimates: Estimates) -> Iterator[str]:
    names = [found.configuration for found in estimates.estimates]
    groups = [_by_group(found) for found in estimates.estimates]
    yield _row("USD a month", *names)
    yield _row("---", *("---:" for _ in names))
    for group in sorted({group for found in groups for group in found}):
        yield _row(group, *(f"{found.get(group, 0.0):.2f}" for found in groups))
    yield _row("**sum**", *(f"**{found.usd:.2f}**" for found in estimates.estimates))


def _items(found: Estimate) -> Iterator[str]:
    yield _row("group", "item", "quantity", "unit", "price", "USD")
    yield _row("---", "---", "---:", "---", "---:", "---:")
    for line in found.lines:
        cells = (line.group, line.item, f"{line.quantity:,.2f}", line.unit, f"{line.price:.6g}", f"{line.usd:.2f}")
        yield _row(*cells)


def _assumptions(usage: Usage, names: list[str]) -> Iterator[str]:
    yield _row("assumption", "unit", *names, "why")
    yield _row("---", "---", *("---:" for _ in names), "---")
    values = [usage.of(name) for name in names]
    for name, row in usage.assumptions.items():
        yield _row(f"`{name}`", row.unit, *(f"{found[name]:g}" for found in values), row.why)


def markdown(estimates: Estimates, prices: PriceTable, usage: Usage) -> str:
    """The whole page: sums, line items, assumptions, sources."""
    names = [found.configuration for found in estimates.estimates]
    parts = [
        "# Cost",
        "",
        f"Written by `signalbox-guards cost -o markdown`. Prices of {estimates.region}, {estimates.as_of}: {_CAVEAT}.",
        "Stacks in another region are priced by the same table.",
        "",
        *_table(estimates),
    ]
    for found in estimates.estimates:
        parts += ["", f"## {found.configuration}", "", *_items(found)]
    parts += ["", "## Assumptions", "", *_assumptions(usage, names)]
    parts += [
        "",
        "## Sources of the prices",
        "",
        *(f"- {name}: {prices.sources[name]}" for name in sorted(prices.prices)),
    ]
    return "\n".join(parts)
