"""The web application firewall: what it blocks, what it lets through on purpose, and what it writes down."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from signalbox.api.permissions import SERVED
from support.templates import Deployment

ACL = "AWS::WAFv2::WebACL"

Deployments = Callable[[str], Deployment]


@pytest.fixture(params=("standard", "lean", "ha-dr", "byo"))
def guarded(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    """Every configuration with a firewall in turn."""
    return deployments(request.param)


def _rules(deployment: Deployment) -> dict[str, dict[str, Any]]:
    return {rule["Name"]: rule for rule in deployment.one(ACL).properties["Rules"]}


def test_it_stands_before_the_load_balancer(guarded: Deployment) -> None:
    association = guarded.one("AWS::WAFv2::WebACLAssociation")

    balancer = guarded.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert guarded.refers(association, association.properties["ResourceArn"]) == balancer
    assert guarded.refers(association, association.properties["WebACLArn"]) == guarded.one(ACL)
    assert guarded.one(ACL).properties["Scope"] == "REGIONAL"


def test_managed_groups_block(guarded: Deployment) -> None:
    groups = {
        rule["Statement"]["ManagedRuleGroupStatement"]["Name"]: rule["OverrideAction"]
        for rule in _rules(guarded).values()
        if "ManagedRuleGroupStatement" in rule["Statement"]
    }

    assert groups == {
        "AWSManagedRulesAmazonIpReputationList": {"None": {}},
        "AWSManagedRulesKnownBadInputsRuleSet": {"None": {}},
        "AWSManagedRulesCommonRuleSet": {"None": {}},
    }


@pytest.mark.parametrize(("name", "limit"), [("standard", 20000), ("ha-dr", 100000)])
def test_an_address_that_floods_is_blocked_before_anything_else_is_looked_at(
    deployments: Deployments, name: str, limit: int
) -> None:
    rule = _rules(deployments(name))["RequestsPerAddress"]

    assert rule["Priority"] == 0
    assert rule["Action"] == {"Block": {}}
    assert rule["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "EvaluationWindowSec": 300,
        "Limit": limit,
    }


def test_only_rules_of_bodies_are_counted_and_what_they_find_is_blocked_outside_of_the_api(
    guarded: Deployment,
) -> None:
    from stacks.edge import API_PREFIXES  # noqa: PLC0415 - starts node, so only when a test needs it

    rules = _rules(guarded)
    common = rules["AWSManagedRulesCommonRuleSet"]
    overrides = common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    counted = {it["Name"] for it in overrides if it["ActionToUse"] == {"Count": {}}}
    outside = rules["OutsideOfTheApi"]
    found, elsewhere = outside["Statement"]["AndStatement"]["Statements"]
    labels = {it["LabelMatchStatement"]["Key"].rpartition(":")[2] for it in found["OrStatement"]["Statements"]}

    assert len(counted) == len(overrides)
    assert all(name.endswith("_BODY") for name in counted)
    assert {label.upper() for label in labels} == {name.upper() for name in counted}
    assert outside["Action"] == {"Block": {}}
    assert outside["Priority"] > common["Priority"]  # labels are left by rules that came earlier
    spared = elsewhere["NotStatement"]["Statement"]["OrStatement"]["Statements"]
    assert {it["ByteMatchStatement"]["SearchString"] for it in spared} == set(API_PREFIXES)
    assert {it["ByteMatchStatement"]["PositionalConstraint"] for it in spared} == {"STARTS_WITH"}


def test_every_rpc_that_is_served_is_spared() -> None:
    from stacks.edge import API_PREFIXES  # noqa: PLC0415 - starts node, so only when a test needs it

    paths = [f"/{procedure}" for procedure in SERVED]

    assert paths
    assert [path for path in paths if not path.startswith(API_PREFIXES)] == []


def test_it_writes_down_what_it_blocked_encrypted_and_without_credentials(guarded: Deployment) -> None:
    logging = guarded.one("AWS::WAFv2::LoggingConfiguration")
    group = guarded.one("AWS::Logs::LogGroup", "/Firewall/")
    redacted = {it["SingleHeader"]["Name"] for it in logging.properties["RedactedFields"]}

    assert group.properties["LogGroupName"] == "aws-waf-logs-signalbox"
    assert group.properties["KmsKeyId"]
    assert group.properties["RetentionInDays"] >= 365
    assert "FirewallLogs" in json.dumps(logging.properties["LogDestinationConfigs"])
    assert redacted == {"authorization", "cookie"}
    (kept,) = logging.properties["LoggingFilter"]["Filters"]
    assert kept["Behavior"] == "KEEP"
    assert {"ActionCondition": {"Action": "BLOCK"}} in kept["Conditions"]


def test_no_sample_of_a_request_is_kept_beside_the_log(guarded: Deployment) -> None:
    for rule in _rules(guarded).values():
        assert rule["VisibilityConfig"]["SampledRequestsEnabled"] is False


def test_an_installation_without_a_firewall_answers_for_it(deployments: Deployments) -> None:
    from stacks.matrix import settings_of  # noqa: PLC0415 - starts node, so only when a test needs it

    dev = deployments("dev")

    assert ACL not in {resource.kind for resource in dev.resources}
    excused = {it.control.rpartition("-")[2] for it in settings_of("dev").exceptions}
    assert "ALBWAFEnabled" in excused
