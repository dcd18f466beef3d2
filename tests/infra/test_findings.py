"""cdk-nag: nothing unexplained, nothing explained that is not found, and the net really catches."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from signalbox_constructs.findings import accept
from support import golden
from support.templates import ROOT, Deployments

S1 = "AwsSolutions::AwsSolutions-S1"


def _plugin(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(plugin for plugin in report["pluginReports"] if plugin["pluginName"] == name)


def _constructs(findings: list[dict[str, Any]], *, at: str) -> set[tuple[str, str]]:
    return {(finding["ruleName"], construct["constructPath"]) for finding in findings for construct in finding[at]}


CONFIGURATIONS = ("byo", "dev", "ha-dr", "lean", "standard")
PACKS = {"AwsSolutions", "HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_rule_of_any_pack_is_violated(deployments: Deployments, name: str) -> None:
    found = {plugin["pluginName"]: plugin["violations"] for plugin in deployments(name).report["pluginReports"]}

    assert found.keys() >= PACKS
    assert not any(found.values()), found


def test_what_is_accepted_is_what_was_reviewed(deployments: Deployments) -> None:
    """Each accepted finding has a line: where it was found, in which configurations, and why that is fine."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for name in CONFIGURATIONS:
        for plugin in deployments(name).report["pluginReports"]:
            for item in plugin["suppressedViolations"]:
                lines.setdefault((item["acknowledgedAt"], item["ruleName"], item["reason"]), []).append(name)

    assert all(len(reason) > 60 for _, _, reason in lines)
    golden.compare(
        ROOT / "tests" / "infra" / "accepted_findings.txt",
        "".join(
            f"{where}\n  {rule} ({', '.join(sorted(set(names)))})\n  {reason}\n"
            for (where, rule, reason), names in sorted(lines.items())
        ),
    )


def _synthesise_buckets(directory: Path, *, accept_on: str | None = None) -> dict[str, Any]:
    """Synthesise two buckets without access logs or a TLS-only policy, and return the report of what was found."""
    app = cdk.App(analytics_reporting=False, outdir=str(directory))
    stack = cdk.Stack(app, "Bad")
    for name in ("A", "B"):
        bucket = s3.Bucket(stack, name)
        if name == accept_on:
            accept(bucket, S1, reason="Accepted here, and only here, to see that the other bucket still fails.")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError):
        app.synth()
    return json.loads((directory / "validation-report.json").read_text())


def test_a_bad_stack_fails_synthesis(tmp_path: Path) -> None:
    report = _synthesise_buckets(tmp_path)

    found = {item["ruleName"] for item in _plugin(report, "AwsSolutions")["violations"]}
    assert {"AwsSolutions-S1", "AwsSolutions-S10"} <= found


def test_accepting_a_finding_on_one_construct_does_not_silence_another(tmp_path: Path) -> None:
    report = _synthesise_buckets(tmp_path, accept_on="A")

    plugin = _plugin(report, "AwsSolutions")
    violated = _constructs(plugin["violations"], at="violatingConstructs")
    assert ("AwsSolutions-S1", "Bad/B/Resource") in violated
    assert ("AwsSolutions-S1", "Bad/A/Resource") not in violated
    assert {("AwsSolutions-S10", "Bad/A/Resource"), ("AwsSolutions-S10", "Bad/B/Resource")} <= violated
