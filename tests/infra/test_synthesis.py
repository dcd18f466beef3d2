"""Synthesis: deterministic, without credentials or look-ups, and through the real CLI the same as in this process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.templates import ROOT, Deployment, Synthesise

STACKS = {"signalbox-network", "signalbox-data", "signalbox-edge", "signalbox-service"}


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment without credentials, profile, region or the user's home, and without a way to find any."""
    node = Path(os.environ["JSII_NODE"])
    return {
        "PATH": f"{node.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path_factory.mktemp("home")),
        "JSII_NODE": str(node),
        "AWS_EC2_METADATA_DISABLED": "true",
        "CI": "true",
    }


def test_two_syntheses_are_equal(deployment: Deployment, synthesise: Synthesise) -> None:
    assert synthesise().templates == deployment.templates


def test_the_stacks_are_the_four_of_the_bill_of_materials(deployment: Deployment) -> None:
    assert set(deployment.templates) == STACKS


def test_nothing_is_looked_up(deployment: Deployment) -> None:
    assert not deployment.manifest.get("missing")


def test_references_lead_from_short_lived_stacks_to_long_lived_ones_only(deployment: Deployment) -> None:
    lifetimes = ["signalbox-network", "signalbox-data", "signalbox-edge", "signalbox-service"]

    for stack, template in deployment.templates.items():
        for producer in STACKS - {stack}:
            if f'"Fn::ImportValue": "{producer}:' in json.dumps(template):
                assert lifetimes.index(producer) < lifetimes.index(stack), f"{stack} imports from {producer}"


def test_the_documentation_lists_every_resource_type(deployment: Deployment) -> None:
    lines = (ROOT / "docs" / "infrastructure.md").read_text().splitlines()
    for stack, template in deployment.templates.items():
        (row,) = [line for line in lines if line.startswith(f"| {stack.split('-')[1]} | `AWS::")]
        listed = {
            family + word.strip(" `|")
            for group in row.split("`AWS::")[1:]
            for family, names in [group.replace("`", "", 1).rsplit("::", 1)]
            for word in names.split(";")[0].split(",")
        }

        assert {kind.removeprefix("AWS::").replace("::", "") for kind in _kinds(template)} == listed, stack


def _kinds(template: dict[str, Any]) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def test_a_wrong_setting_ends_with_its_name_and_code_2_and_no_traceback(bare_environment: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=bare_environment | {"CDK_CONTEXT_JSON": json.dumps({"image_digest": "latest"})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert result.returncode == 2
    assert "-c: image_digest: wanted 'sha256:'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_cdk_cli_synthesises_the_same_without_credentials(
    deployment: Deployment, bare_environment: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "cdk.out"
    result = subprocess.run(
        [
            ROOT / "node_modules" / ".bin" / "cdk",
            "synth",
            "--quiet",
            "--output",
            output,
            "-c",
            "config=config/local.yaml",
        ],
        cwd=ROOT,
        env=bare_environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr
    assert Deployment(output).templates == deployment.templates
