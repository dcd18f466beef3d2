"""Synthesis: deterministic, without credentials or look-ups, and through the real CLI the same as in this process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.templates import ROOT, Deployment, Deployments, Synthesise

LIFETIMES = [
    f"signalbox-{name}"
    for name in (
        *("keys", "recovery", "network", "data", "identity", "patching", "edge", "service"),
        *("observability", "evidence"),
    )
]
"""Longest first."""

CONFIGURATIONS = ("dev", "standard", "lean", "ha-dr", "byo")


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


def test_the_stacks_are_those_of_the_bill_of_materials(deployments: Deployments) -> None:
    assert sorted(deployments("ha-dr").templates) == sorted(LIFETIMES)
    assert sorted(deployments("standard").templates) == sorted(set(LIFETIMES) - {"signalbox-recovery"})
    assert sorted(deployments("byo").templates) == sorted(set(LIFETIMES) - {"signalbox-recovery", "signalbox-identity"})


def test_nothing_is_looked_up(deployment: Deployment) -> None:
    assert not deployment.manifest.get("missing")


def test_references_lead_from_short_lived_stacks_to_long_lived_ones_only(deployments: Deployments) -> None:
    for stack, template in deployments("ha-dr").templates.items():
        for producer in set(LIFETIMES) - {stack}:
            if f'"Fn::ImportValue": "{producer}:' in json.dumps(template):
                assert LIFETIMES.index(producer) < LIFETIMES.index(stack), f"{stack} imports from {producer}"


def test_no_template_needs_code_of_its_own(deployments: Deployments) -> None:
    """No function, custom resource or nested stack: plain CloudFormation, in any account."""
    own = ("AWS::Lambda::", "AWS::CloudFormation::", "Custom::")
    for name in CONFIGURATIONS:
        for resource in deployments(name).resources:
            assert not resource.kind.startswith(own) or resource.kind == "AWS::CDK::Metadata", resource.path


def test_a_wrong_setting_ends_with_its_name_and_code_2_and_no_traceback(bare_environment: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=bare_environment | {"CDK_CONTEXT_JSON": json.dumps({"image.digest": "latest"})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert result.returncode == 2
    assert "image.digest: got 'latest' (from -c); allowed: 'sha256:'" in result.stderr
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
