"""What is plain goes another way through the program, and leaves exactly what a decision would have left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, LiteralString

import pytest

from signalbox.control import leases
from signalbox.control.actions import Enqueue, Enqueuer
from signalbox.control.reports import Report, Reporter
from signalbox.errors import SignalboxError
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.rules.phases import Phase, Verdict
from signalbox.store import specs
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction
from support.engine import NOW, RUN, SPEC, TTL, USER_ERROR, Engine, new_action, report

DECIDED = RUN._replace(run="decided")
PLAIN = RUN._replace(run="plain")
MINUTE = timedelta(minutes=1)

TABLES: dict[str, LiteralString] = {
    "run": "SELECT to_jsonb(t) FROM run t WHERE name = %(run)s",
    "action": "SELECT to_jsonb(t) FROM action t WHERE run = %(run)s ORDER BY name",
    "work": """
        SELECT to_jsonb(t) || jsonb_build_object(
                   'next_check', round(extract(epoch FROM next_check - since)),
                   'deadline', round(extract(epoch FROM deadline - since)))
          FROM work t WHERE run = %(run)s ORDER BY id""",
    "event": "SELECT to_jsonb(t) FROM event t WHERE run = %(run)s ORDER BY revision",
    "audit": "SELECT to_jsonb(t) FROM audit t WHERE split_part(resource, '/', 4) = %(run)s ORDER BY id",
}
OF_THE_CLOCK = {"id", "since", "granted_at", "recorded_at", "at"}
"""What differs between two of the same; `epoch` besides, which must be the granted one."""


class OnlyDecided(Enqueuer):
    async def apply(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        return await self._decide(items)


class OnlyPlain(Enqueuer):
    """Knows that the TaskSpec is kept."""

    async def apply(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        self._remember([(RUN.org, specs.digest(SPEC))])
        return await super().apply(items)

    async def _decide(self, items: Sequence[Enqueue]) -> list[SignalboxError | None]:
        raise AssertionError([item.action.key for item in items])


class OnlyDecidedReports(Reporter):
    async def apply(self, reports: Sequence[Report]) -> list[Verdict]:
        return await self._decide(reports)


class OnlyPlainReports(Reporter):
    async def _decide(self, reports: Sequence[Report]) -> list[Verdict]:
        raise AssertionError([report.key for report in reports])


async def enqueue(engine: Engine, *children: NewAction) -> None:
    """The same children in both runs, each its way."""
    for run, way in ((DECIDED, OnlyDecided), (PLAIN, OnlyPlain)):
        items = [Enqueue(child._replace(key=ActionKey(*run, child.key.action)), SPEC) for child in children]
        assert await way(engine.db, engine.hub).apply(items) == [None] * len(children)


async def tell(engine: Engine, granted: dict[tuple[str, str], Granted], *reports: Report) -> None:
    """The same reports in both runs, of the attempts that were granted in them."""
    for run, way in ((DECIDED, OnlyDecidedReports), (PLAIN, OnlyPlainReports)):
        told = [
            r._replace(key=ActionKey(*run, r.key.action), epoch=granted[run.run, r.key.action].epoch) for r in reports
        ]
        verdicts = await way(engine.db, engine.hub, system_retries=2).apply(told)
        assert verdicts == [Verdict.ACCEPTED] * len(reports)


async def leased(engine: Engine) -> dict[tuple[str, str], Granted]:
    grants = await leases.grant(engine.agent(), leases.Stream(number=engine.stream), ttl=TTL)
    assert grants is not None
    return {(granted.run, granted.action): granted for granted in grants.granted}


async def rows(engine: Engine, run: str, granted: dict[tuple[str, str], Granted]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}  # Any: whatever JSON holds
    async with engine.db.autocommit() as tx:
        for table, query in TABLES.items():
            cursor = await tx.execute(query, {"run": run})
            found[table] = [_plain(row[0], run, granted) for row in await cursor.fetchall()]
    return found


def _plain(row: dict[str, Any], run: str, granted: dict[tuple[str, str], Granted]) -> dict[str, Any]:
    epoch = row.get("epoch")
    if epoch:
        assert epoch == granted[run, row.get("action") or row["name"]].epoch
        row["epoch"] = "granted"
    kept = {column: value for column, value in row.items() if column not in OF_THE_CLOCK}
    return {column: value.replace(run, "RUN") if isinstance(value, str) else value for column, value in kept.items()}


@pytest.fixture(autouse=True)
async def both(engine: Engine) -> None:
    await engine.begin(DECIDED)
    await engine.begin(PLAIN)


async def test_plain_enqueues_leave_what_decided_ones_leave(engine: Engine) -> None:
    await enqueue(engine, new_action("p"), new_action("c1")._replace(queue="default", group_name="g", request_id="q"))
    await enqueue(
        engine,
        new_action("d1", "p", retries=3)._replace(
            queued_timeout=MINUTE,
            run_timeout=MINUTE * 2,
            deadline_after=MINUTE * 3,
            backoff_base=MINUTE,
            backoff_factor=2.0,
            backoff_cap=MINUTE * 9,
            cache_max_age=MINUTE,
        ),
        new_action("c2")._replace(deadline_after=MINUTE * 200, output_base="file:///elsewhere"),
        new_action("e1", "c1"),
    )

    decided, plain = await rows(engine, "decided", {}), await rows(engine, "plain", {})

    assert {table: len(found) for table, found in plain.items()} == {
        "run": 1, "action": 6, "work": 6, "event": 6, "audit": 5,
    }  # fmt: skip
    assert plain == decided


async def test_plain_reports_leave_what_decided_ones_leave(engine: Engine) -> None:
    await enqueue(engine, *(new_action(f"c{i}")._replace(deadline_after=MINUTE * i or None) for i in range(6)))
    granted = await leased(engine)
    of = {name: granted["plain", name] for name in (f"c{i}" for i in range(6))}

    await tell(
        engine,
        granted,
        report(of["c0"], Phase.RUNNING),
        report(of["c1"], Phase.RUNNING, started_at=None, log=b"log"),
        report(of["c2"], Phase.SUCCEEDED, log=b"log"),
        report(of["c3"], Phase.SUCCEEDED, started_at=None),
    )
    await tell(
        engine,
        granted,
        report(of["c1"], Phase.SUCCEEDED, at=NOW + MINUTE, log=b"more"),
        report(of["c4"], Phase.RUNNING),
    )

    decided, plain = await rows(engine, "decided", granted), await rows(engine, "plain", granted)

    assert [row["phase"] for row in plain["action"]] == [
        "queued", "running", "succeeded", "succeeded", "succeeded", "running", "queued",
    ]  # fmt: skip
    assert plain == decided


async def test_what_is_not_plain_is_decided(engine: Engine) -> None:
    await enqueue(engine, new_action("p"), new_action("plain"), new_action("bounded")._replace(run_timeout=MINUTE))
    granted = await leased(engine)
    await enqueue(engine, new_action("c1", "p"))
    plain = OnlyPlain(engine.db, engine.hub)
    reporter = OnlyPlainReports(engine.db, engine.hub, system_retries=2)
    of = {name: g for (run, name), g in granted.items() if run == "plain"}

    for child in (
        new_action("c1", "p", run=PLAIN),
        new_action("x", "nobody", run=PLAIN),
        new_action("x", run=PLAIN._replace(run="none")),
        new_action("x", run=PLAIN)._replace(cache_key="k"),
        new_action("x", run=PLAIN)._replace(queue="other"),
    ):
        with pytest.raises(AssertionError):
            await plain.apply([Enqueue(new_action("good", run=PLAIN), SPEC), Enqueue(child, SPEC)])
    for told in (
        report(of[ROOT_ACTION], Phase.SUCCEEDED),
        report(of["p"], Phase.SUCCEEDED),
        report(of["bounded"], Phase.RUNNING),
        report(of["bounded"], Phase.FAILED, error=USER_ERROR),
        report(of["bounded"], Phase.SUCCEEDED, output_uri=None),
        report(of["bounded"], Phase.SUCCEEDED, epoch=1),
        report(of["plain"], Phase.SUCCEEDED, error=USER_ERROR),
        report(of["plain"], Phase.RUNNING, recoverable=True),
        report(of["plain"], Phase.RUNNING, cluster_events=[(NOW, b"pulled")]),
    ):
        with pytest.raises(AssertionError):
            await reporter.apply([told])

    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT count(*) FROM action WHERE name IN ('good', 'x')")
        assert await cursor.fetchone() == (0,)
        cursor = await tx.execute("SELECT count(*) FROM event WHERE run = 'plain' AND phase <> 'queued'")
        assert await cursor.fetchone() == (0,)
