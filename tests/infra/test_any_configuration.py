"""Whatever is set within the rules, the controls hold; and what weakens one is stopped, and names the control."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stacks.matrix import settings_of, synthesise
from stacks.register import Weakened
from stacks.settings import SettingsError, read_settings
from support.templates import ROOT

EXAMPLES = 6
"""Each is a synthesis of the whole app, some seconds long."""

capacity = st.integers(1, 128).map(lambda half: half / 2)
cidr = st.integers(0, 255).map(lambda second: f"10.{second}.0.0/16")


@st.composite
def strong(draw: st.DrawFn) -> dict[str, Any]:
    """Changes of a configuration of the matrix, none of which weakens a control."""
    least, most = sorted((draw(st.integers(2, 20)), draw(st.integers(2, 20))))
    low, high = sorted((draw(capacity), draw(capacity)))
    cpu, memory = draw(st.sampled_from([(256, 512), (256, 2048), (512, 4096), (1024, 2048), (4096, 30720)]))
    own = draw(st.booleans())
    changes: dict[str, Any] = {
        "name": draw(st.from_regex(r"[a-z][a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)),
        "region": (region := draw(st.sampled_from(["us-east-1", "eu-west-1", "ap-northeast-1"]))),
        "availability_zones": [f"{region}{letter}" for letter in draw(st.permutations("abcd"))[:3]],
        "network.cidr": draw(cidr),
        "network.nat_gateways": draw(st.integers(0, 3)),
        "network.endpoint_zones": draw(st.integers(1, 3)),
        "database.capacity": draw(st.sampled_from(["serverless", "provisioned"])),
        "database.instance_class": draw(st.sampled_from(["t4g.medium", "r7g.large", "r8g.2xlarge"])),
        "database.engine_version": draw(st.sampled_from(["16.8", "17.7", "17.9"])),
        "database.min_capacity": low,
        "database.max_capacity": max(high, 1.0),
        "database.readers": draw(st.integers(1, 2)),
        "backup.retention_days": draw(st.integers(35, 2555)),
        "service.cpu": cpu,
        "service.memory": memory,
        "service.serve.least": least,
        "service.serve.most": most,
        "edge.zones": 3,
        "edge.requests_per_address": draw(st.integers(100, 1_000_000)),
        "evidence.lock_days": draw(st.integers(400, 3650)),
        "observability.canary_minutes": draw(st.integers(0, 60)),
        "observability.dashboard": draw(st.booleans()),
        "observability.alarm_email": draw(st.sampled_from([None, "team@example.com"])),
        "edge.hosted_zone_id": draw(st.sampled_from([None, "Z0123456789ABCDEFGHIJ"])),
    }
    if own:
        changes["keys.data_arn"] = f"arn:aws:kms:{region}:000000000000:key/{uuid4()}"
    return changes


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(changes=strong())
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_valid_configuration_satisfies_every_control(
    changes: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    synthesise(settings_of("standard", changes), tmp_path_factory.mktemp("any"), second_opinions=False)


WEAKENINGS = {
    "database.backup_days": (7, "BCP-01"),
    "database.readers": (0, "BCP-07"),
    "service.serve.least": (1, "BCP-08"),
    "network.tasks": ("public", "NET-04"),
}
"""Path -> a value that is valid, and the control that it weakens."""


@pytest.mark.parametrize("path", WEAKENINGS)
def test_a_weakening_value_is_stopped_unless_an_exception_holds(path: str, tmp_path: Path) -> None:
    value, control = WEAKENINGS[path]
    with pytest.raises(Weakened, match=rf"(?m)^{control} template: not_satisfied"):
        synthesise(settings_of("standard", {path: value}), tmp_path / "plain", second_opinions=False)

    opened = date(2026, 11, 25)
    exemption = {
        "id": "EX-001",
        "control": control,
        "reason": "A trial in an empty account, without data of anybody.",
        "owner": "platform",
        "approver": "security",
        "opened": str(opened),
        "expires": str(opened + timedelta(days=30)),
    }
    excused = settings_of("standard", {path: value, "exceptions": [exemption]})
    with pytest.raises(Weakened) as caught:
        synthesise(excused, tmp_path / "late", second_opinions=False, day=opened + timedelta(days=30))
    assert f"EX-001 holds from {opened} until" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(["network.cidr", "account", "region", "image.digest", "edge.domain_name", "database.readers"]),
    value=st.one_of(st.text(max_size=30), st.integers(), st.none(), st.lists(st.text(max_size=3), max_size=3)),
)
def test_nonsense_is_refused_with_the_path_or_is_valid(path: str, value: object) -> None:
    said = ""
    try:
        read_settings({"config": str(ROOT / "config" / "local.yaml"), path: value}, {})
    except SettingsError as error:
        said = str(error)

    assert not said or said.startswith(f"{path}: got ")
