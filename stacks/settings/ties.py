"""Rules that tie several settings together. Each yields the path of the setting to change, never just "invalid"."""

import ipaddress
import re
from collections.abc import Iterator

from stacks.settings.model import ECR, FARGATE_MEMORY, Settings


def contradictions(settings: Settings) -> Iterator[str]:
    """Yield the dotted path of every setting that the others contradict."""
    yield from _places(settings)
    yield from _network(settings)
    yield from _sizes(settings)
    yield from _second_region(settings)
    yield from _exceptions(settings)


def _places(settings: Settings) -> Iterator[str]:
    if not _zones_of(settings.availability_zones, settings.region):
        yield "availability_zones"
    for name in ("data_arn", "operations_arn", "evidence_arn"):
        if _region_of(getattr(settings.keys, name)) not in {None, settings.region}:
            yield f"keys.{name}"
    if _region_of(settings.edge.certificate_arn) not in {None, settings.region}:
        yield "edge.certificate_arn"
    repository = settings.image.repository
    if repository is not None:
        match = ECR.match(repository)
        if match is None or match[1] != settings.region:
            yield "image.repository"


def _network(settings: Settings) -> Iterator[str]:
    network = settings.network
    if network.vpc is not None:
        for tier in ("public", "private", "isolated"):
            ids: tuple[str, ...] = getattr(network.vpc, f"{tier}_subnet_ids")
            if len(set(ids)) != len(settings.availability_zones):
                yield f"network.vpc.{tier}_subnet_ids"
        if len(network.vpc.private_route_table_ids) not in {0, len(settings.availability_zones)}:
            yield "network.vpc.private_route_table_ids"
    elif network.tasks == "private" and network.endpoint_zones == 0 and network.nat_gateways == 0:
        yield "network.endpoint_zones"  # a task could not pull its image


def _sizes(settings: Settings) -> Iterator[str]:
    service = settings.service
    if service.memory not in FARGATE_MEMORY[service.cpu]:
        yield "service.memory"
    for name, tasks in (("serve", service.serve), ("reconcile", service.reconcile)):
        if tasks.most < tasks.least:
            yield f"service.{name}.most"
    hours = service.working_hours
    if hours is not None and hours.stop <= hours.start:
        yield "service.working_hours.stop"
    if settings.database.max_capacity < settings.database.min_capacity:
        yield "database.max_capacity"


def _second_region(settings: Settings) -> Iterator[str]:
    recovery = settings.recovery
    if recovery is None:
        if settings.profile == "ha-dr":
            yield "recovery"
        return
    if recovery.region == settings.region:
        yield "recovery.region"
    if not _zones_of(recovery.availability_zones, recovery.region):
        yield "recovery.availability_zones"
    try:
        overlap = ipaddress.IPv4Network(recovery.cidr).overlaps(ipaddress.IPv4Network(settings.network.cidr))
    except ValueError:
        overlap = True
    if overlap:
        yield "recovery.cidr"
    if recovery.global_database and not _may_be_global(settings):
        yield "recovery.global_database"


def _may_be_global(settings: Settings) -> bool:
    """Whether Aurora takes the cluster as a member: none that pauses, none of burstable instances."""
    database = settings.database
    if database.capacity == "serverless":
        return database.min_capacity > 0
    return not database.instance_class.startswith("t")


def _exceptions(settings: Settings) -> Iterator[str]:
    seen: set[str] = set()
    for index, exemption in enumerate(settings.exceptions):
        if exemption.id in seen:
            yield f"exceptions.{index}.id"
        seen.add(exemption.id)
        if not exemption.is_approved_by_another:
            yield f"exceptions.{index}.approver"
        if not exemption.ends_in_time:
            yield f"exceptions.{index}.expires"


def _zones_of(zones: tuple[str, ...], region: str) -> bool:
    return len(set(zones)) == len(zones) and all(re.fullmatch(rf"{region}[a-z]", zone) for zone in zones)


def _region_of(arn: str | None) -> str | None:
    return arn.split(":")[3] if arn else None
