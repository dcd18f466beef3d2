from __future__ import annotations

from datetime import UTC, datetime

import pytest

from signalbox_dataplane.executor.templates import render, values
from support.attempts import an_attempt


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("{{.input}}", "s3://b/runs/r1/a0/inputs.pb"),
        ("{{.inputPrefix}}", "s3://b/runs/r1/a0"),
        ("{{.outputPrefix}}", "s3://b/runs/r1/a0/1"),
        ("{{.rawOutputDataPrefix}}", "s3://b/runs/r1/a0/1/raw"),
        ("{{.checkpointOutputPrefix}}", "s3://b/runs/r1/a0/1/_flytecheckpoints"),
        ("{{.prevCheckpointPrefix}}", ""),
        ("{{.runName}}", "r1"),
        ("{{.actionName}}", "a0"),
        ("{{.runStartTime}}", "2026-11-23T12:00:00.250000Z"),
        ("{{.perRetryUniqueKey}}", "r1-a0-1"),
        ("{{.namespace}}", "flytesnacks-development"),
        ("{{ .RUNNAME }}", "r1"),
        ("{{  . Input }}", "s3://b/runs/r1/a0/inputs.pb"),
        ("--x={{.runName}}/{{.actionName}}", "--x=r1/a0"),
        ("{{.inputs.x}}", "{{.inputs.x}}"),
        ("{{.unknown}}", "{{.unknown}}"),
        ("{{runName}}", "{{runName}}"),
        ("plain", "plain"),
    ],
)
def test_each_template_has_its_value(word: str, value: str) -> None:
    assert render([word], values(an_attempt())) == [value]


def test_an_empty_value_leaves_an_empty_word_so_that_options_keep_their_values() -> None:
    assert render(["--prev-checkpoint", "{{.prevCheckpointPrefix}}", "--name"], values(an_attempt())) == [
        "--prev-checkpoint",
        "",
        "--name",
    ]


def test_a_retry_gets_the_checkpoints_of_the_attempt_before() -> None:
    of = values(an_attempt(number=2, previous="s3://b/runs/r1/a0/1"))

    assert of["prevcheckpointprefix"] == "s3://b/runs/r1/a0/1/_flytecheckpoints"
    assert of["checkpointoutputprefix"] == "s3://b/runs/r1/a0/2/_flytecheckpoints"


def test_inputs_may_be_given_as_their_folder() -> None:
    assert values(an_attempt(input_uri="s3://b/runs/r1/a0"))["input"] == "s3://b/runs/r1/a0/inputs.pb"


def test_the_runs_raw_data_prefix_is_kept_apart_for_each_attempt() -> None:
    assert values(an_attempt(raw_prefix="s3://raw/"))["rawoutputdataprefix"] == "s3://raw/r1/a0/1"


@pytest.mark.parametrize(
    ("microsecond", "written"), [(0, "12:00:00.000000Z"), (1000, "12:00:00.001000Z"), (999999, "12:00:00.999999Z")]
)
def test_the_start_time_is_always_written_in_one_way(microsecond: int, written: str) -> None:
    start = datetime(2026, 11, 23, 12, 0, 0, microsecond, tzinfo=UTC)

    assert values(an_attempt(start=start))["runstarttime"] == f"2026-11-23T{written}"
