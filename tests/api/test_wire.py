"""Between messages and the product's types: nothing is lost, and what does not fit is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from flyteidl2.common import identifier_pb2, list_pb2, phase_pb2
from flyteidl2.workflow import run_definition_pb2
from hypothesis import given
from hypothesis import strategies as st

from signalbox.api import paging, wire
from signalbox.api.paging import Order
from signalbox.errors import Invalid
from signalbox.ids import ActionKey, TaskKey
from signalbox.rules.phases import Phase

NEWEST = Order("created_at", descending=True)


def test_every_phase_has_one_number_and_every_number_its_phase() -> None:
    assert [wire.phase(wire.action_phase(phase)) for phase in Phase] == list(Phase)
    numbers = set(phase_pb2.ActionPhase.values()) - {phase_pb2.ACTION_PHASE_UNSPECIFIED}
    assert {wire.action_phase(phase) for phase in Phase} == numbers
    for number in numbers:
        assert wire.action_phase(wire.phase(number)) == number


def test_every_phase_is_called_as_in_flyte() -> None:
    for phase in Phase:
        assert phase_pb2.ActionPhase.Name(wire.action_phase(phase)) == f"ACTION_PHASE_{phase.upper()}"


@pytest.mark.parametrize("number", [0, 11, -1])
def test_a_number_that_is_no_phase_is_refused(number: int) -> None:
    with pytest.raises(Invalid, match=f"status.phase: .* got {number}"):
        wire.phase(number, what="status.phase")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-12, 12))  # noqa: DTZ001  # the zone is added below
def test_times_keep_their_microsecond_whatever_their_zone(naive: datetime, hours: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert wire.moment(wire.timestamp(at)) == at
    assert wire.moment(wire.timestamp(at)).tzinfo is UTC


def test_identifiers_make_the_round_trip() -> None:
    action = ActionKey("o", "p", "d", "r", "a")
    task = TaskKey("o", "p", "d", "main.<locals>.f", "v/1".replace("/", "-"))
    assert wire.action_key(wire.action_id(action)) == action
    assert wire.run_key(wire.run_id(action.run_key)) == action.run_key
    assert wire.task_key(wire.task_id(task)) == task


@pytest.mark.parametrize(
    ("field", "value"), [("org", ""), ("project", "a/b"), ("domain", ".."), ("name", "a\0b"), ("name", "x" * 64)]
)
def test_a_name_that_cannot_be_is_refused_by_its_field(field: str, value: str) -> None:
    message = identifier_pb2.RunIdentifier(org="o", project="p", domain="d", name="r")
    setattr(message, field, value)
    with pytest.raises(Invalid, match=f"run_id.{field}"):
        wire.run_key(message)


@pytest.mark.parametrize(
    ("principal", "kind", "subject"),
    [
        ("user:ann", "user", "ann"),
        ("user:https://issuer|ann", "user", "https://issuer|ann"),
        ("cluster:local/one", "application", "local/one"),
        ("system", "application", "system"),
    ],
)
def test_principals_are_users_or_applications(principal: str, kind: str, subject: str) -> None:
    identity = wire.identity(principal)
    assert identity.WhichOneof("principal") == kind
    assert getattr(identity, kind).id.subject == subject


def test_a_long_error_is_cut_and_says_so() -> None:
    error = run_definition_pb2.ErrorInfo(message="é" * 300, code="X")
    cut = wire.cut_error(error, 301)
    assert cut.message == "é" * 150 + "... (cut: 600 bytes, 301 are kept)"
    assert cut.code == "X"
    assert wire.cut_error(error, 600) == error


moments = st.datetimes(timezones=st.just(UTC))
texts = st.text(max_size=200, alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(moments, texts, st.integers(0, 2**62))
def test_a_token_is_read_as_it_was_written(at: datetime, text: str, number: int) -> None:
    token = paging.token("runs", NEWEST, [at, text, number])
    assert paging.position(token, "runs", NEWEST, datetime, str, int) == [at, text, number]


@given(st.text())
def test_garbage_is_no_token(text: str) -> None:
    if text:
        with pytest.raises(Invalid, match="token"):
            paging.position(text, "runs", NEWEST, datetime, str)


def test_a_token_belongs_to_its_list_and_its_order() -> None:
    token = paging.token("runs", NEWEST, ["a"])
    for listed, order, types in (
        ("actions", NEWEST, (str,)),
        ("runs", Order("created_at", descending=False), (str,)),
        ("runs", Order("name", descending=True), (str,)),
        ("runs", NEWEST, (str, str)),
        ("runs", NEWEST, (int,)),
        ("runs", NEWEST, (datetime,)),
    ):
        with pytest.raises(Invalid, match="token"):
            paging.position(token, listed, order, *types)
    for wrong, kind in ((True, int), ("a\0", str), (2**63, int), ("2026-11-23", datetime), ("soon", datetime)):
        with pytest.raises(Invalid, match="token"):
            paging.position(paging.token("runs", NEWEST, [wrong]), "runs", NEWEST, kind)


def test_sorts_are_known_or_refused() -> None:
    sort = list_pb2.Sort
    request = list_pb2.ListRequest
    assert paging.order(request(), keys=["created_at"]) == NEWEST
    ascending = sort(key="created_at", direction=sort.ASCENDING)
    assert paging.order(request(sort_by=ascending), keys=["created_at"]) == Order("created_at", descending=False)
    assert paging.order(request(sort_by_fields=[ascending]), keys=["created_at"]).descending is False
    with pytest.raises(Invalid, match="sort_by: created_at, got 'colour'"):
        paging.order(request(sort_by=sort(key="colour")), keys=["created_at"])
    with pytest.raises(Invalid, match="one key, got 2"):
        paging.order(request(sort_by_fields=[ascending, ascending]), keys=["created_at"])


@pytest.mark.parametrize(("limit", "size"), [(0, 100), (1, 1), (100, 100), (1000, 100)])
def test_a_page_has_at_most_a_hundred(limit: int, size: int) -> None:
    assert paging.size(limit) == size
