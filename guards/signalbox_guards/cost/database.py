"""Aurora: instances, capacity units, storage, I/O, backups."""

from signalbox_guards.cost.bill import Bill, Resource
from signalbox_guards.errors import BadInput

GROUP = "Database"


def _io_optimized(cluster: Resource) -> bool:
    return cluster.properties.get("StorageType") == "aurora-iopt1"


def _is_secondary(cluster: Resource) -> bool:
    """A member of a global database that takes its data, and so its users, from the primary."""
    own_users = {"MasterUsername", "ManageMasterUserPassword", "MasterUserPassword", "SnapshotIdentifier"}
    return "GlobalClusterIdentifier" in cluster.properties and not own_users & set(cluster.properties)


def price_cluster(bill: Bill, cluster: Resource) -> None:
    engine = cluster.properties.get("Engine")
    if not str(engine).startswith("aurora"):
        raise BadInput(f"{cluster.address}: Engine: wanted an Aurora engine, the only one priced, got {engine!r}")
    suffix = "_io_optimized" if _io_optimized(cluster) else ""
    bill.add(GROUP, "Aurora storage", f"aurora/storage_gb{suffix}", bill.assumed("aurora_storage_gb"))
    if not suffix:
        bill.add(GROUP, "Aurora I/O", "aurora/io_million", bill.assumed("aurora_io_millions"))
    bill.add(GROUP, "Aurora backups", "aurora/backup_gb", bill.assumed("aurora_backup_gb"))
    if _is_secondary(cluster):
        item = "Global database writes"
        bill.add(GROUP, item, "aurora/global_io_million", bill.assumed("aurora_global_io_millions"))
    if cluster.properties.get("ManageMasterUserPassword") in (True, "true"):
        bill.add("Keys and secrets", "Secrets", "secrets/secret", 1)


def price_instance(bill: Bill, instance: Resource) -> None:
    cluster = bill.target(instance.properties.get("DBClusterIdentifier"))
    if cluster is None or cluster.type != "AWS::RDS::DBCluster":
        raise BadInput(f"{instance.address}: wanted an instance of a cluster in this assembly: no other is priced")
    instance_class = str(instance.properties.get("DBInstanceClass"))
    hours = bill.assumed("hours")
    advanced = "advanced" in (
        instance.properties.get("DatabaseInsightsMode"),
        cluster.properties.get("DatabaseInsightsMode"),
    )
    if instance_class == "db.serverless":
        units = _acu_hours(bill, cluster)
        suffix = "_io_optimized" if _io_optimized(cluster) else ""
        bill.add(GROUP, "Aurora capacity", f"aurora/acu_hour{suffix}", units)
        if advanced:
            bill.add(GROUP, "Database Insights", "aurora/insights_advanced_acu_hour", units)
        return
    factor = bill.factor("aurora", "io_optimized_instance_factor") if _io_optimized(cluster) else 1.0
    bill.add(GROUP, f"Aurora {instance_class}", f"aurora/{instance_class}", hours, times=factor)
    if advanced:
        vcpu_hours = bill.vcpus(instance_class) * hours
        bill.add(GROUP, "Database Insights", "aurora/insights_advanced_vcpu_hour", vcpu_hours)


def _acu_hours(bill: Bill, cluster: Resource) -> float:
    """ACU-hours a month of one serverless instance. A minimum of 0 pauses; a paused instance costs no capacity."""
    scaling = cluster.properties.get("ServerlessV2ScalingConfiguration", {})
    minimum = cluster.number(scaling.get("MinCapacity"), "ServerlessV2ScalingConfiguration.MinCapacity")
    if minimum == 0:
        return bill.assumed("aurora_active_hours") * bill.assumed("aurora_active_acu")
    return bill.assumed("hours") * minimum * bill.assumed("acu_over_minimum")
