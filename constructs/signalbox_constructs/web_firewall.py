"""The web application firewall before the load balancer: floods, known bad senders, known bad requests.

On a load balancer AWS WAF sees headers, path, query, and the first 8 KB of a body; never a response, so that streams
pass as they are. A request is judged once, when it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from signalbox_constructs.encryption import encrypted_log_group

Rule = wafv2.CfnWebACL.RuleProperty
Statement = wafv2.CfnWebACL.StatementProperty
Group = wafv2.CfnWebACL.ManagedRuleGroupStatementProperty

_COMMON = "AWSManagedRulesCommonRuleSet"
_BODY_RULES = {
    "SizeRestrictions_BODY": "SizeRestrictions_Body",
    "EC2MetaDataSSRF_BODY": "EC2MetaDataSSRF_Body",
    "GenericLFI_BODY": "GenericLFI_Body",
    "GenericRFI_BODY": "GenericRFI_Body",
    "CrossSiteScripting_BODY": "CrossSiteScripting_Body",
}
"""The core rule set's rules of bodies, and the labels that they leave.

Messages of the API are up to 4 MiB long (the first rule blocks 8 KB), and carry what users write: URLs, paths, code,
markup (the others take it for an attack). They are counted, and `OutsideOfTheApi` blocks what they found elsewhere.
"""


@dataclass(frozen=True, kw_only=True)
class WebFirewallProps:
    name: str
    requests_per_address: int
    """In five minutes."""
    api_prefixes: Sequence[str]
    """How paths begin whose bodies are messages, such as "/flyteidl2."."""
    log_key: kms.IKey


class WebFirewall(Construct):
    """A regional web ACL with its log; `protect` puts it before a load balancer.

    Exposes `acl` and `logs`. What is logged is what was blocked or counted, without the headers that prove who asks.
    """

    def __init__(self, scope: Construct, construct_id: str, props: WebFirewallProps) -> None:
        super().__init__(scope, construct_id)
        self.acl = wafv2.CfnWebACL(
            self,
            "Acl",
            name=props.name,
            description="Signalbox edge",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible(props.name),
            rules=[
                _rate("RequestsPerAddress", 0, props.requests_per_address),
                _managed("AWSManagedRulesAmazonIpReputationList", 1),
                _managed("AWSManagedRulesKnownBadInputsRuleSet", 2),
                _managed(_COMMON, 3, count=list(_BODY_RULES)),
                _outside_of_the_api(4, props.api_prefixes),
            ],
        )
        # WAF accepts no other beginning of the name. It writes itself into the log's resource policy.
        self.logs = encrypted_log_group(self, "Logs", key=props.log_key, name=f"aws-waf-logs-{props.name}")
        self._log(self.logs)

    def protect(self, load_balancer: elbv2.IApplicationLoadBalancer) -> None:
        """Have every request to `load_balancer` judged first."""
        wafv2.CfnWebACLAssociation(
            self, "Association", resource_arn=load_balancer.load_balancer_arn, web_acl_arn=self.acl.attr_arn
        )

    def _log(self, group: logs.LogGroup) -> None:
        stack = cdk.Stack.of(self)
        redacted = wafv2.CfnLoggingConfiguration.FieldToMatchProperty
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.acl.attr_arn,
            # without the ":*" that the log group's own ARN ends with
            log_destination_configs=[
                stack.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=group.log_group_name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                redacted(single_header={"Name": "authorization"}),
                redacted(single_header={"Name": "cookie"}),
            ],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [
                            {"ActionCondition": {"Action": action}}
                            for action in ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
                        ],
                    }
                ],
            },
        )


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    """Metrics, and no samples: those would show headers to whoever may read WAF."""
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )


def _rate(name: str, priority: int, limit: int) -> Rule:
    flood = wafv2.CfnWebACL.RateBasedStatementProperty(aggregate_key_type="IP", limit=limit, evaluation_window_sec=300)
    return Rule(
        name=name,
        priority=priority,
        statement=Statement(rate_based_statement=flood),
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        visibility_config=_visible(name),
    )


def _managed(name: str, priority: int, *, count: Sequence[str] = ()) -> Rule:
    counted = wafv2.CfnWebACL.RuleActionProperty(count={})
    return Rule(
        name=name,
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=Statement(
            managed_rule_group_statement=Group(
                vendor_name="AWS",
                name=name,
                rule_action_overrides=[
                    wafv2.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=counted) for rule in count
                ]
                or None,
            )
        ),
        visibility_config=_visible(name),
    )


def _outside_of_the_api(priority: int, prefixes: Sequence[str]) -> Rule:
    """Block what the rules of bodies found, unless the path is the API's."""
    found = _any(
        [
            Statement(
                label_match_statement=wafv2.CfnWebACL.LabelMatchStatementProperty(
                    scope="LABEL", key=f"awswaf:managed:aws:core-rule-set:{label}"
                )
            )
            for label in _BODY_RULES.values()
        ]
    )
    api = _any(
        [
            Statement(
                byte_match_statement=wafv2.CfnWebACL.ByteMatchStatementProperty(
                    field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
                    positional_constraint="STARTS_WITH",
                    search_string=prefix,
                    text_transformations=[wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
                )
            )
            for prefix in prefixes
        ]
    )
    elsewhere = Statement(not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=api))
    return Rule(
        name="OutsideOfTheApi",
        priority=priority,
        statement=Statement(and_statement=wafv2.CfnWebACL.AndStatementProperty(statements=[found, elsewhere])),
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        visibility_config=_visible("OutsideOfTheApi"),
    )


def _any(statements: Sequence[Statement]) -> Statement:
    """Any of `statements`; WAF wants two at least in an Or."""
    if len(statements) == 1:
        return statements[0]
    return Statement(or_statement=wafv2.CfnWebACL.OrStatementProperty(statements=list(statements)))
