"""What is deployed, as text: a change of a template is seen, and meant, in the commit that makes it."""

import pytest

from signalbox_guards.templates import normalised_text
from support import golden
from support.templates import ROOT, Deployments

SNAPSHOTS = ROOT / "tests" / "infra" / "snapshots"


@pytest.mark.parametrize("name", ["byo", "dev", "ha-dr", "lean", "standard"])
def test_the_templates_are_what_was_reviewed(deployments: Deployments, name: str) -> None:
    templates = deployments(name).templates
    for stack, template in templates.items():
        golden.compare(SNAPSHOTS / name / f"{stack}.json", normalised_text(template))

    assert {file.stem for file in (SNAPSHOTS / name).iterdir()} == set(templates)
