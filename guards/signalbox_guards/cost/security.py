"""Keys, secrets, web application firewall, detection, audit trail, sign-in."""

from typing import Any, cast  # property values are free JSON

from signalbox_guards.canonical import Json
from signalbox_guards.cost.bill import Bill, Resource
from signalbox_guards.errors import BadInput

KEYS = "Keys and secrets"
EDGE = "Firewall"
DETECTION = "Detection"
_PAID_MANAGED_RULES = ("BotControl", "ATPRuleSet", "ACFPRuleSet", "AntiDDoS")
_FREE_MAU = 10_000
_TIERS = {"LITE": "mau_lite", "ESSENTIALS": "mau_essentials", "PLUS": "mau_plus"}


def price_key(bill: Bill, key: Resource) -> None:
    bill.add(KEYS, "KMS keys", "kms/key", 1)
    bill.add(KEYS, "KMS requests", "kms/request_10k", bill.assumed("kms_requests_10k"))
    if key.properties.get("EnableKeyRotation") in (True, "true") and bill.assumed("kms_rotations"):
        bill.add(KEYS, "KMS rotated material", "kms/rotation", min(bill.assumed("kms_rotations"), 2))


def price_secret(bill: Bill, secret: Resource) -> None:
    """Each replica costs as much as the secret."""
    replicas = len(cast("list[Any]", secret.properties.get("ReplicaRegions", [])))
    bill.add(KEYS, "Secrets", "secrets/secret", 1 + replicas)


def price_web_acl(bill: Bill, acl: Resource) -> None:
    rules = cast("list[Json]", acl.properties.get("Rules", []))
    for rule in rules:
        name = str(rule.get("Statement", {}).get("ManagedRuleGroupStatement", {}).get("Name", ""))
        if any(paid in name for paid in _PAID_MANAGED_RULES):
            raise BadInput(f"{acl.address}: {name} has a price of its own, which is not in the table: add it")
    bill.add(EDGE, "Web ACLs", "waf/web_acl", 1)
    bill.add(EDGE, "WAF rules", "waf/rule", len(rules))
    bill.add(EDGE, "WAF requests", "waf/request_million", bill.assumed("waf_requests_millions"))


def price_rule_group(bill: Bill, group: Resource) -> None:
    """The rules in it; the reference from a web ACL is a rule of that ACL."""
    bill.add(EDGE, "WAF rules", "waf/rule", len(cast("list[Any]", group.properties.get("Rules", []))))


_FEATURES = {
    "S3_DATA_EVENTS": ("guardduty/s3_event_million", "guardduty_s3_events_millions"),
    "RUNTIME_MONITORING": ("guardduty/runtime_vcpu", "guardduty_runtime_vcpus"),
    "ECS_FARGATE_AGENT_MANAGEMENT": None,  # part of runtime monitoring
    "RDS_LOGIN_EVENTS": ("guardduty/rds_vcpu", "guardduty_database_vcpus"),
    "EBS_MALWARE_PROTECTION": ("guardduty/malware_gb", "guardduty_malware_gb"),
}


def price_detector(bill: Bill, detector: Resource) -> None:
    if detector.properties.get("Enable") in (False, "false"):
        return
    events = bill.assumed("guardduty_events_millions")
    bill.add(DETECTION, "GuardDuty events", "guardduty/event_million", events)
    bill.add(DETECTION, "GuardDuty logs", "guardduty/log_gb", bill.assumed("guardduty_log_gb"))
    for feature in cast("list[Json]", detector.properties.get("Features", [])):
        if feature.get("Status") != "ENABLED":
            continue
        name = str(feature.get("Name"))
        if name not in _FEATURES:
            raise BadInput(f"{detector.address}: feature {name}: wanted one of {sorted(_FEATURES)}, which are priced")
        if priced := _FEATURES[name]:
            bill.add(DETECTION, f"GuardDuty {name}", priced[0], bill.assumed(priced[1]))


def price_recorder(bill: Bill, _recorder: Resource) -> None:
    bill.add(DETECTION, "Config items", "config/item", bill.assumed("config_items"))


def price_config_rule(bill: Bill, _rule: Resource) -> None:
    bill.add(DETECTION, "Config evaluations", "config/evaluation", bill.assumed("config_evaluations_per_rule"))


def price_conformance_pack(bill: Bill, _pack: Resource) -> None:
    bill.add(DETECTION, "Config evaluations", "config/evaluation", bill.assumed("conformance_pack_evaluations"))


def price_security_hub(bill: Bill, _hub: Resource) -> None:
    bill.add(DETECTION, "Security Hub checks", "securityhub/check", bill.assumed("securityhub_checks"))


def price_analyzer(bill: Bill, analyzer: Resource) -> None:
    """External access is free; unused access costs for each role and user."""
    if str(analyzer.properties.get("Type", "")).endswith("UNUSED_ACCESS"):
        roles = bill.assumed("unused_access_roles")
        bill.add(DETECTION, "Unused access analysis", "iam/unused_access_role", roles)


def _data_events(trail: Resource) -> bool:
    plain = cast("list[Json]", trail.properties.get("EventSelectors", []))
    advanced = cast("list[Json]", trail.properties.get("AdvancedEventSelectors", []))
    fields = [field for selector in advanced for field in cast("list[Json]", selector.get("FieldSelectors", []))]
    return any(it.get("DataResources") for it in plain) or any("Data" in field.get("Equals", []) for field in fields)


def price_trail(bill: Bill, trail: Resource) -> None:
    """Management events of the first trail of a region are free; data events never are."""
    first = next(it for it in bill.of_type(trail.type) if it.stack.region == trail.stack.region)
    if first != trail:
        events = bill.assumed("trail_management_events_100k")
        bill.add(DETECTION, "Second trail", "cloudtrail/management_events_100k", events)
    if _data_events(trail):
        events = bill.assumed("trail_data_events_100k")
        bill.add(DETECTION, "Trail data events", "cloudtrail/data_events_100k", events)


def price_user_pool(bill: Bill, pool: Resource) -> None:
    """The first 10,000 monthly active users are free, except in the Plus tier."""
    tier = str(pool.properties.get("UserPoolTier", "ESSENTIALS"))
    free = 0 if tier == "PLUS" else _FREE_MAU
    users = max(bill.assumed("cognito_mau") - free, 0)
    bill.add("Sign-in", f"Cognito users, {tier.lower()}", f"cognito/{_TIERS[tier]}", users)
