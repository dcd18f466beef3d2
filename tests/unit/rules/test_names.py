from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from signalbox.ids import ActionKey, RunKey
from signalbox.rules import names

RUN = RunKey("org", "project", "development", "r1")


@given(st.binary(min_size=13, max_size=40))
def test_a_generated_run_name_is_one_that_flyte_takes_for_its_own(seed: bytes) -> None:
    assert re.fullmatch(r"r[0-9a-z]{19}", names.run_name(seed))


def test_the_same_seed_gives_the_same_name_and_another_seed_another() -> None:
    assert names.run_name(b"0" * 16) == names.run_name(b"0" * 16)
    assert names.run_name(b"0" * 16) != names.run_name(b"1" * 16)


def test_paths_are_those_that_the_runtime_expects() -> None:
    base = names.run_output_base("s3://bucket/prefix/", RUN)

    assert base == "s3://bucket/prefix/org/project/development/r1"
    assert names.attempt_output_uri(base, ActionKey(*RUN, "a0"), 2) == f"{base}/a0/2"
    assert names.outputs_file(f"{base}/a0/2") == f"{base}/a0/2/outputs.pb"
