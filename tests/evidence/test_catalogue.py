"""The catalogue: what it must say, and that what it says is checked."""

from typing import Any

import pytest
from pydantic import ValidationError

from signalbox_evidence.catalogue import Control, Mode, Severity, load
from signalbox_evidence.rules.all import RULES

# the critical controls about encryption, isolation, backup and the edge's TLS that no release may lose
CRITICAL = {
    "DAT-01", "DAT-04", "DAT-10", "DAT-12", "NET-01", "NET-02", "NET-03", "NET-06", "NET-12", "TLS-01", "TLS-04",
    "BCP-01", "BCP-02", "BCP-07", "BCP-10", "IAM-01", "IAM-03", "WRK-03",
}  # fmt: skip


def test_every_control_has_its_rule_and_every_rule_its_control() -> None:
    assert {control.id for control in load().controls} == RULES.keys()


def test_the_critical_controls_are_there_and_critical() -> None:
    assert {control.id for control in load().controls if control.severity is Severity.CRITICAL} == CRITICAL


def test_every_control_maps_to_soc2_nist_and_iso() -> None:
    for control in load().controls:
        mappings = control.mappings
        assert mappings.tsc2017, control.id
        assert mappings.nist80053r5, control.id
        assert mappings.iso27001_2022, control.id


def test_no_control_claims_certification_or_compliance() -> None:
    for control in load().controls:
        words = f"{control.title} {control.statement} {control.rationale}".lower()
        assert "complian" not in words.replace("compliance mode", ""), control.id  # Object Lock's word for one of two
        assert "certif" not in words.replace("certificate", ""), control.id


def _row(**changes: Any) -> dict[str, Any]:
    return {**load().control("BCP-01").model_dump(), **changes}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "bcp-1"}, "should match pattern"),
        ({"modes": [Mode.LIVE]}, "says nothing about the modes"),
        ({"colour": "blue"}, "Extra inputs"),
        ({"params": {"days": {"title": "Days", "default": 90, "minimum": 1, "maximum": 35}}}, "wanted 1 to 35, got 90"),
        ({"params": {"days": {"title": "Days", "default": 90}}}, "needs a minimum and a maximum"),
        ({"params": {"words": {"title": "Words", "default": ["c"], "choices": ["a"]}}}, "wanted a subset of"),
    ],
)
def test_a_wrong_control_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Control.model_validate(_row(**changes))
