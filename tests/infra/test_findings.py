"""cdk-nag: nothing unexplained, nothing explained that is not found, and the net really catches."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from signalbox_constructs.findings import accept
from support.templates import Deployment

S1 = "AwsSolutions::AwsSolutions-S1"


def _plugin(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(plugin for plugin in report["pluginReports"] if plugin["pluginName"] == name)


def _constructs(findings: list[dict[str, Any]], *, at: str) -> set[tuple[str, str]]:
    return {(finding["ruleName"], construct["constructPath"]) for finding in findings for construct in finding[at]}


def test_no_rule_of_any_pack_is_violated(deployment: Deployment) -> None:
    found = {plugin["pluginName"]: plugin["violations"] for plugin in deployment.report["pluginReports"]}

    assert found["AwsSolutions"] == []
    assert not any(found.values()), found


def test_the_accepted_findings_are_exactly_these_and_each_has_a_reason(deployment: Deployment) -> None:
    accepted = [item for plugin in deployment.report["pluginReports"] for item in plugin["suppressedViolations"]]

    assert {(item["ruleName"], item["acknowledgedAt"]) for item in accepted} == {
        ("AwsSolutions-EC23", "signalbox-edge/Edge/SecurityGroup"),
        ("AwsSolutions-S1", "signalbox-edge/Edge/AccessLogs"),
        ("W3010", "signalbox-network/Network/Vpc"),
        ("W3010", "signalbox-data/Database/Cluster"),
        *(
            (rule, f"signalbox-service/{process}/{path}")
            for process in ("Serve", "Reconcile", "Migrate")
            for rule, path in (
                ("AwsSolutions-ECS2", "Task"),
                ("AwsSolutions-IAM5[Resource::*]", "ExecutionRole"),
            )
        ),
    }
    for item in accepted:
        assert len(item["reason"]) > 60, item


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
