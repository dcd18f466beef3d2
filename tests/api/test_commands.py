"""The operator's commands about queues, waiting and retention: as processes, on a real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from signalbox.store.db import Database
from support.engine import Engine


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
