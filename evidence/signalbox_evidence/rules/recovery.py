"""BCP: backup, recovery, availability."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from signalbox_evidence.catalogue import Mode, Params
from signalbox_evidence.facts.backup import BackedUp, BackupPlan, BackupRule, Region, Vault
from signalbox_evidence.facts.compute import Running, Service
from signalbox_evidence.facts.database import Cluster, Instance, RestoreWindow
from signalbox_evidence.facts.edge import LoadBalancerProtection
from signalbox_evidence.facts.network import Subnet
from signalbox_evidence.facts.storage import Kept, Stack
from signalbox_evidence.facts.world import Fact, World, untold
from signalbox_evidence.finding import Attribute, Finding, expect, is_true

_CLUSTER = "AWS::RDS::DBCluster"
_PLAN_RULES = Attribute("AWS::Backup::BackupPlan", "BackupPlan.BackupPlanRule")
_VAULT = "AWS::Backup::BackupVault"
_SERVICE = "AWS::ECS::Service"
_FULL_HEALTH = 100


def backups_are_kept_long_enough(world: World, params: Params) -> Iterator[Finding]:
    days = params.number("retention_days")
    for cluster in world.all(Cluster):
        attribute = Attribute(_CLUSTER, "BackupRetentionPeriod")
        wanted = f"at least {days} days"
        yield expect(cluster.subject, attribute, cluster.retention_days, wanted, lambda it: it >= days)
        window = Attribute(_CLUSTER, "PreferredBackupWindow")
        yield expect(cluster.subject, window, cluster.backup_window, "a stated window", bool)


def restore_window_is_open(world: World, params: Params) -> Iterator[Finding]:
    lag = timedelta(minutes=params.number("lag_minutes"))
    for window in world.all(RestoreWindow):
        latest = Attribute(_CLUSTER, "LatestRestorableTime")
        wanted = f"at most {lag} ago"
        yield expect(window.cluster, latest, window.latest, wanted, lambda it, w=window: w.read_at - it <= lag)
        yield expect(
            window.cluster,
            Attribute(_CLUSTER, "EarliestRestorableTime"),
            window.earliest,
            "one day short of the retention period ago, or the creation of the cluster",
            lambda it, w=window: _reaches_back(it, w),
        )


def _reaches_back(earliest: datetime, window: RestoreWindow) -> bool:
    if not isinstance(window.retention_days, int):
        return False
    wanted = window.read_at - timedelta(days=window.retention_days - 1)
    # a young cluster cannot reach further back than its first backup, which AWS takes within the day
    first = window.created + timedelta(days=1) if isinstance(window.created, datetime) else wanted
    return earliest <= max(wanted, first)


def _zones(world: World, names: Fact[tuple[str, ...]]) -> Fact[list[str]]:
    if not isinstance(names, tuple):
        return names
    found = [subnet.zone for subnet in world.all(Subnet) if subnet.subject.id in names]
    return untold(found) or sorted({str(zone) for zone in found if zone is not None})


def _two(items: list[str] | list[int]) -> bool:
    return len(items) > 1


def backups_are_independent(world: World, params: Params) -> Iterator[Finding]:
    days = params.number("retention_days")
    plans = world.all(BackupPlan)
    known = {plan.plan.id for plan in plans}
    followers = {it.subject.id for it in world.all(Cluster) if it.follows}
    for backed_up in (it for it in world.all(BackedUp) if it.cluster.id not in followers):
        selection = Attribute("AWS::Backup::BackupSelection", "Resources")
        wanted = "selected by name by a plan of this deployment"
        yield expect(backed_up.cluster, selection, backed_up.plans, wanted, lambda it: bool(set(it) & known))
    for plan in plans:
        wanted = f"on every day, kept for {days} days at least"
        yield expect(plan.plan, _PLAN_RULES, plan.rules, wanted, lambda it: any(_is_enough(rule, days) for rule in it))


def _is_enough(rule: BackupRule, days: int) -> bool:
    return rule.is_daily and rule.keep_days >= days


def vaults_are_locked(world: World, params: Params) -> Iterator[Finding]:
    days = params.number("min_days")
    for vault in world.all(Vault):
        lock = "LockConfiguration"
        least = Attribute(_VAULT, f"{lock}.MinRetentionDays")
        yield expect(vault.subject, least, vault.min_days, f"at least {days} days", lambda it: it >= days)
        grace = Attribute(_VAULT, f"{lock}.ChangeableForDays")
        wanted = "a number of days, after which nobody takes the lock off"
        yield expect(vault.subject, grace, vault.grace_days, wanted, lambda it: it > 0)


def backups_leave_the_region(world: World, _: Params) -> Iterator[Finding]:
    regions = {region.name for region in world.all(Region)}
    if len(regions) > 1:
        for plan in world.all(BackupPlan):
            others = regions - {plan.region}
            wanted = f"each backup copied to one of {sorted(others)}"
            yield expect(plan.plan, _PLAN_RULES, plan.rules, wanted, lambda it, there=others: _leave(it, there))


def _leave(rules: tuple[BackupRule, ...], regions: set[str]) -> bool:
    return bool(rules) and all(set(rule.copied_to) & regions for rule in rules)


def database_survives_a_zone(world: World, _: Params) -> Iterator[Finding]:
    instances = world.all(Instance)
    for cluster in (it for it in world.all(Cluster) if not it.follows):
        members = [instance for instance in instances if instance.cluster_id == cluster.subject.id]
        tiers = sorted(member.promotion_tier for member in members if isinstance(member.promotion_tier, int))
        tier = Attribute("AWS::RDS::DBInstance", "PromotionTier")
        yield expect(cluster.subject, tier, [it for it in tiers if it <= 1], "two instances of tier 0 or 1", _two)
        attribute = Attribute("AWS::RDS::DBSubnetGroup", "SubnetIds")
        yield expect(cluster.subject, attribute, _zones(world, cluster.subnets), "subnets in two zones", _two)
        # a template that names no zones leaves the spreading to Aurora, which the account then shows
        named = [member.zone for member in members if member.zone is not None]
        if world.mode is Mode.LIVE or named:
            zones = untold(named) or sorted({str(zone) for zone in named})
            place = Attribute("AWS::RDS::DBInstance", "AvailabilityZone")
            yield expect(cluster.subject, place, zones, "instances in two zones", _two)


def service_survives_a_task(world: World, params: Params) -> Iterator[Finding]:
    tasks = params.number("tasks")
    for service in world.all(Service):
        rollout = "DeploymentConfiguration"
        desired = Attribute(_SERVICE, "DesiredCount")
        yield expect(service.subject, desired, service.desired, f"at least {tasks}", lambda it: it >= tasks)
        healthy = Attribute(_SERVICE, f"{rollout}.MinimumHealthyPercent")
        wanted = f"at least {_FULL_HEALTH}"
        yield expect(service.subject, healthy, service.min_healthy_percent, wanted, lambda it: it >= _FULL_HEALTH)
        breaker = Attribute(_SERVICE, f"{rollout}.DeploymentCircuitBreaker")
        yield expect(service.subject, breaker, service.rollback, "rolls back", is_true)
        zones = Attribute(_SERVICE, "AvailabilityZoneRebalancing")
        yield expect(service.subject, zones, service.rebalancing, "ENABLED", lambda it: it == "ENABLED")
    if world.mode is Mode.LIVE:
        for running in world.all(Running):
            count = Attribute(_SERVICE, "RunningCount")
            yield expect(running.service, count, running.count, f"at least {tasks}", lambda it: it >= tasks)


def deletion_is_refused(world: World, _: Params) -> Iterator[Finding]:
    for cluster in world.all(Cluster):
        attribute = Attribute(_CLUSTER, "DeletionProtection")
        yield expect(cluster.subject, attribute, cluster.deletion_protection, "true", is_true)
    for balancer in world.all(LoadBalancerProtection):
        attribute = Attribute("AWS::ElasticLoadBalancingV2::LoadBalancer", "deletion_protection.enabled")
        yield expect(balancer.load_balancer, attribute, balancer.deletion_protection, "true", is_true)
    for stack in world.all(Stack):
        if stack.irreplaceable:
            attribute = Attribute("AWS::CloudFormation::Stack", "TerminationProtection")
            yield expect(stack.subject, attribute, stack.termination_protection, "true", is_true)


def stateful_resources_are_kept(world: World, _: Params) -> Iterator[Finding]:
    for kept in world.all(Kept):
        allowed = ("Snapshot", "Retain") if kept.subject.type == _CLUSTER else ("Retain",)
        for name, value in (("DeletionPolicy", kept.on_delete), ("UpdateReplacePolicy", kept.on_replace)):
            attribute = Attribute(kept.subject.type, name)
            yield expect(kept.subject, attribute, value, " or ".join(allowed), lambda it, all_=allowed: it in all_)


RULES = {
    "BCP-01": backups_are_kept_long_enough,
    "BCP-02": restore_window_is_open,
    "BCP-03": backups_are_independent,
    "BCP-04": vaults_are_locked,
    "BCP-05": backups_leave_the_region,
    "BCP-07": database_survives_a_zone,
    "BCP-08": service_survives_a_task,
    "BCP-09": deletion_is_refused,
    "BCP-10": stateful_resources_are_kept,
}
