"""Deletion of what is past its policy. Nothing is deleted unless a policy says so, and nothing without an audit row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from signalbox.errors import NotFound
from signalbox.ids import RunKey
from signalbox.op import Op
from signalbox.rules.roles import Permission
from signalbox.store import audit, clock, retention, runs
from signalbox.store.retention import Expired, Hold, Policy

_PREVIEWED = 10_000
_MONTHS_AHEAD = 2


async def set_policy(op: Op, policy: Policy) -> None:
    op.require(Permission.RETENTION_WRITE)
    async with op.transaction() as tx:
        await retention.stop_deleting(tx, policy.org)
        await retention.put(tx, policy)
        resource = "/".join(policy[:3])
        await audit.append(tx, audit.Entry(policy.org, str(op.who), "retention.set", resource, op.request_id))


async def unset_policy(op: Op, org: str, project: str, outcome: str) -> None:
    """Raises NotFound."""
    op.require(Permission.RETENTION_WRITE)
    async with op.transaction() as tx:
        await retention.stop_deleting(tx, org)
        if not await retention.remove(tx, org, project, outcome):
            raise NotFound(f"retention of {project or 'all projects'}, {outcome}: no such policy")
        resource = f"{org}/{project}/{outcome}"
        await audit.append(tx, audit.Entry(org, str(op.who), "retention.unset", resource, op.request_id))


async def hold(op: Op, new: Hold) -> None:
    """Keep a run, or a project as a whole, whatever the policies say. Raises NotFound for a run.

    What is not deleted when this returns is not deleted later.
    """
    op.require(Permission.RETENTION_WRITE)
    async with op.transaction() as tx:
        await retention.stop_deleting(tx, new.org)
        key = RunKey(*new[:4])
        if new.run and key not in await runs.lock(tx, [key]):
            raise NotFound(f"run {key}: not found")
        await retention.hold(tx, new)
        await audit.append(
            tx, audit.Entry(new.org, str(op.who), "retention.hold", "/".join(new[:4]).rstrip("/"), op.request_id)
        )


async def release(op: Op, org: str, project: str, domain: str, run: str) -> None:
    """Raises NotFound for what is not held."""
    op.require(Permission.RETENTION_WRITE)
    resource = f"{org}/{project}/{domain}/{run}".rstrip("/")
    async with op.transaction() as tx:
        if not await retention.release(tx, org, project, domain, run):
            raise NotFound(f"{resource}: is not held")
        await audit.append(tx, audit.Entry(org, str(op.who), "retention.release", resource, op.request_id))


class Kept(NamedTuple):
    policies: Sequence[Policy]
    holds: Sequence[Hold]


async def kept(op: Op, org: str) -> Kept:
    """The org's policies and holds."""
    op.require(Permission.RETENTION_READ)
    async with op.db.snapshot() as tx:
        return Kept(await retention.of_org(tx, org), await retention.holds(tx, org))


class Preview(NamedTuple):
    """Runs of one project and outcome that the next passes delete."""

    project: str
    outcome: str
    keep: timedelta
    runs: int
    oldest: datetime
    newest: datetime


async def preview(op: Op, org: str) -> list[Preview]:
    """What would be deleted now, by project and outcome, of the first 10,000 runs; nothing is changed."""
    op.require(Permission.RETENTION_READ)
    async with op.db.autocommit() as tx:
        found = await retention.expired(tx, org, limit=_PREVIEWED)
    groups: defaultdict[tuple[str, str], list[Expired]] = defaultdict(list)
    for run in found:
        groups[run.key.project, run.outcome].append(run)
    return [
        Preview(project, outcome, some[0].policy.keep, len(some), some[0].ended_at, some[-1].ended_at)
        for (project, outcome), some in sorted(groups.items())
    ]


async def delete_expired(op: Op, *, limit: int) -> int:
    """Delete up to `limit` runs past their policy, each in a transaction of its own; gives how many."""
    async with op.db.autocommit() as tx:
        found = await retention.expired(tx, None, limit=limit)
    deleted = 0
    for run in found:
        async with op.transaction() as tx:
            await retention.go_on_deleting(tx, run.key.org)
            if run.key not in await runs.lock(tx, [run.key]):
                continue  # another pass was quicker
            still = await retention.still_expired(tx, run.key)
            if still is None:
                continue  # it is held since, or another policy counts
            await retention.delete_run(tx, still.key)
            policy = f"{still.policy.project or '*'}/{still.policy.outcome}/{still.policy.keep.days}d"
            resource = f"{still.key} {still.outcome} policy {policy}"
            await audit.append(tx, audit.Entry(still.key.org, str(op.who), "run.delete", resource, op.request_id))
            deleted += 1
    return deleted


async def delete_expired_results(op: Op, *, limit: int) -> int:
    """Delete up to `limit` cached results that have expired; gives how many."""
    async with op.db.autocommit() as tx:
        return await retention.delete_expired_results(tx, limit=limit)


async def keep_audit(op: Op, *, keep: timedelta) -> int:
    """Make the coming months of the audit trail, and drop those that ended longer ago than `keep`; gives how many."""
    async with op.transaction() as tx:
        await retention.lock_audit_months(tx)
        now = (await clock.now(tx)).astimezone(UTC)
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        months = [first := (first + timedelta(days=32)).replace(day=1) for _ in range(_MONTHS_AHEAD)]
        await retention.make_audit_months(tx, months)
        dropped = await retention.drop_audit_months(tx, before=now - keep)
        for name in dropped:
            await audit.append(tx, audit.Entry("", str(op.who), "audit.drop", name, op.request_id))
    return len(dropped)
