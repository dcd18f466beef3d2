"""The operator's commands about queues, waiting and retention: as processes, on a real database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from signalbox.rules.phases import Phase
from signalbox.store.db import Database
from support.engine import NOW, RUN, Engine, new_action, report


def signalbox(database_url: str, *words: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    return subprocess.run(
        [sys.executable, "-m", "signalbox", *words],
        env=plain | {"SIGNALBOX_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def answer(database_url: str, *words: str) -> Any:
    done = signalbox(database_url, *words, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
async def engine(db: Database) -> Engine:
    made = Engine(db)
    await made.begin()
    await made.open_stream()
    return made


def test_queues_are_configured_and_listed(database_url: str) -> None:
    words = ("queue", "configure", "gpu", "--max-actions", "4", "--priority", "2", "--clusters", "a,b", "--drain")
    assert answer(database_url, *words)["max_actions"] == 4

    (queue,) = answer(database_url, "queue", "show")["queues"]

    assert (queue["name"], queue["state"], queue["priority"], queue["clusters"]) == ("gpu", "draining", 2, ["a", "b"])


@pytest.mark.usefixtures("engine")
def test_why_says_one_sentence_and_an_unknown_run_is_an_exit_code(database_url: str) -> None:
    assert answer(database_url, "why", "r1")["reason"].startswith("it is in line")

    missing = signalbox(database_url, "why", "r9")

    assert missing.returncode == 3
    assert "r9/a0: not found" in missing.stderr


async def test_why_says_it_of_each_action_of_a_run(database_url: str, engine: Engine) -> None:
    await engine.lease()
    await engine.enqueue(new_action("c1"), new_action("c2")._replace(owner=None, phase=Phase.SUCCEEDED, ended_at=NOW))
    words = {name: answer(database_url, "why", "r1", name)["reason"] for name in ("a0", "c1", "c2")}

    assert words["c1"].startswith("it is in line")
    assert "one" in words["a0"], "held by that cluster"
    assert "succeeded" in words["c2"]
    missing = signalbox(database_url, "why", "r1", "c9")
    assert (missing.returncode, "r1/c9: not found" in missing.stderr) == (3, True)


async def test_what_is_past_its_policy_is_previewed_and_the_reconciler_deletes_it(
    database_url: str, engine: Engine
) -> None:
    await engine.report(report((await engine.lease())["a0"], Phase.SUCCEEDED))
    async with engine.db.transaction() as tx:
        await tx.execute("UPDATE run SET ended_at = clock_timestamp() - interval '40 days'")
    answer(database_url, "retention", "set-policy", "30")

    (expired,) = answer(database_url, "retention", "preview")["expired"]
    assert (expired["project"], expired["outcome"], expired["runs"], expired["keep"]) == (
        *("flytesnacks", "succeeded", 1),
        30 * 86400.0,
    )
    assert "flytesnacks, succeeded: 1 runs that ended" in signalbox(database_url, "retention", "preview").stdout
    assert answer(database_url, "why", "r1"), "a preview deletes nothing"

    plain = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    process = subprocess.Popen(  # noqa: ASYNC220  # it lives beside the test
        [sys.executable, "-m", "signalbox", "reconcile"], env=plain | {"SIGNALBOX_DATABASE_URL": database_url}
    )
    try:
        for _ in range(300):
            if not await runs_left(engine.db):
                break
            await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(20)  # as above

    assert await runs_left(engine.db) == 0
    assert answer(database_url, "retention", "preview") == {"expired": []}
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT principal, resource FROM audit WHERE operation = 'run.delete'")
        assert await cursor.fetchall() == [("internal:reconcile", f"{RUN} succeeded policy */any/30d")]


async def runs_left(db: Database) -> int:
    async with db.autocommit() as tx:
        row = await (await tx.execute("SELECT count(*) FROM run")).fetchone()
    return 0 if row is None else row[0]


@pytest.mark.usefixtures("engine")
def test_retention_is_set_previewed_held_and_unset(database_url: str) -> None:
    answer(database_url, "retention", "set-policy", "30", "--outcome", "failed")
    answer(database_url, "retention", "hold", "flytesnacks", "r1", "--reason", "a case")
    kept = answer(database_url, "retention", "show")
    assert [(p["outcome"], p["keep"]) for p in kept["policies"]] == [("failed", 30 * 86400.0)]
    assert [(h["run"], h["reason"]) for h in kept["holds"]] == [("r1", "a case")]
    assert answer(database_url, "retention", "preview") == {"expired": []}

    answer(database_url, "retention", "release", "flytesnacks", "r1")
    answer(database_url, "retention", "unset", "--outcome", "failed")

    assert answer(database_url, "retention", "show") == {"policies": [], "holds": []}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("queue", "configure", "gpu", "--max-runs", "0"), 2, "max_runs: at least 1, got 0"),
        (("queue", "configure", "no/name"), 2, "name: letters"),
        (("retention", "set-policy", "0"), 2, "keep_days: 1 to 36500, got 0"),
        (("retention", "unset"), 3, "no such policy"),
        (("retention", "release", "flytesnacks"), 3, "is not held"),
        (("retention", "hold", "flytesnacks", "r9", "--reason", "x"), 3, "r9: not found"),
    ],
)
def test_bad_input_is_a_sentence_and_an_exit_code(
    database_url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    done = signalbox(database_url, *words)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
