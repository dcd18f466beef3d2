"""The lists of types are about types that exist, and agree with each other."""

import re
from pathlib import Path

import pytest
import yaml

from signalbox_guards.cost import types
from signalbox_guards.cost.prices import read_prices, read_usage
from signalbox_guards.schemas import EVERY, create_only, schema_date
from signalbox_guards.stateful import guarded
from support.templates import ROOT

PACKAGE = ROOT / "guards" / "signalbox_guards"
NOT_IN_A_PROVIDER = {"AWS::CDK::Metadata"}


def stateful_types() -> list[str]:
    content = yaml.safe_load((PACKAGE / "stateful.yaml").read_text())
    return [name for rows in content.values() for name in rows]


def test_every_listed_type_has_a_provider_schema() -> None:
    listed = {*stateful_types(), *types.PRICED, *types.free()} - NOT_IN_A_PROVIDER

    assert [name for name in sorted(listed) if create_only(name, "us-east-1").always == (EVERY,)] == []


def test_every_stateful_type_states_why() -> None:
    for name in stateful_types():
        found = guarded(name)
        assert found is not None
        assert len(found.why) > 5, name


def test_no_type_is_both_priced_and_free() -> None:
    assert set(types.PRICED) & set(types.free()) == set()


def test_every_assumption_is_used_and_every_price_too() -> None:
    sources = "".join(path.read_text() for path in (PACKAGE / "cost").glob("*.py"))
    usage, prices = read_usage(), read_prices()

    assert [name for name in usage.assumptions if f'"{name}"' not in sources] == []
    flat = [(service, name) for service, rows in prices.prices.items() for name in rows]
    composed = re.compile(r"^(db\.|spot_|arm_|x86_|mau_|alb_|nlb_|lcu|nlcu|alarm|log_gb)|_io_optimized$|_factor$")
    unused = [f"{s}/{n}" for s, n in flat if f"{s}/{n}" not in sources and not composed.search(n)]
    assert unused == []


def test_the_schemas_are_dated() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*Z", schema_date())


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1", "somewhere-new-1", None])
def test_a_region_without_schemas_has_those_of_us_east_1(region: str | None) -> None:
    assert ("DatabaseName",) in create_only("AWS::RDS::DBCluster", region).always


def test_the_price_table_says_when_and_from_where() -> None:
    prices = read_prices()

    assert prices.region == "us-east-1"
    assert all(url.startswith("https://aws.amazon.com/") for url in prices.sources.values())
    assert Path(PACKAGE / "prices" / "us-east-1-2026-11.yaml").exists()
