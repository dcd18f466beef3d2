"""Filters and tokens that nobody sends by accident: refused in words, and at once."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime
from time import process_time

import pytest
from flyteidl2.common import list_pb2

from signalbox.api import filter_words, filters, paging
from signalbox.api.paging import Order
from signalbox.errors import Invalid

Filter = list_pb2.Filter
NEWEST = Order("created_at", descending=True)


def a_token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "function", "field", "values"),
    [
        ("eq(state, 0)", Filter.EQUAL, "state", ["0"]),
        ("contains( name ,a (b), c )", Filter.CONTAINS, "name", ["a (b), c"]),
        ("value_in(state,0; 1)", Filter.VALUE_IN, "state", ["0", "1"]),
        ("eq(name,)", Filter.EQUAL, "name", [""]),
        ("action_type == 3", Filter.EQUAL, "action_type", ["3"]),
        ("name != 'f(a, b)'", Filter.NOT_EQUAL, "name", ["f(a, b)"]),
    ],
)
def test_filters_in_words_mean_what_they_say(text: str, function: int, field: str, values: list[str]) -> None:
    (parsed,) = filter_words.parse(f" {text} ")

    assert (parsed.function, parsed.field, list(parsed.values)) == (function, field, values)


@pytest.mark.parametrize("text", ["", "x"])
@pytest.mark.parametrize("begin", ["eq(a,", "eq(", "eq", "a", "a =", "eq(a, b"])
def test_a_text_is_read_in_time_that_grows_with_its_length(begin: str, text: str) -> None:
    """The bound is a hundred thousand times what it takes, and a thousandth of what a cubic pattern took."""
    began = process_time()
    with suppress(Invalid):
        filter_words.parse(begin + " " * 8000 + text)

    assert process_time() - began < 1


def test_texts_and_lists_of_filters_have_a_bound() -> None:
    with pytest.raises(Invalid, match="at most 8192 characters, got 8193"):
        filter_words.parse("x" * 8193)
    with pytest.raises(Invalid, match="filters: at most 100, got 101"):
        filters.of(list_pb2.ListRequest(raw_filters=["a = 1"] * 101))


@pytest.mark.parametrize("function", [Filter.GREATER_THAN, Filter.LESS_THAN_OR_EQUAL])
@pytest.mark.parametrize("value", ["9999-12-31T23:59:59.999999+00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_other_is_beyond_is_refused(function: Filter.Function, value: str) -> None:
    with pytest.raises(Invalid, match="filter created_at"):
        filters.times(Filter(function=function, field="created_at", values=[value]), (None, None))


@pytest.mark.parametrize(
    "text",
    ["[" * 1500, "[" * 200_000, '[1,"runs","created_at",true,"\\ud800"]', '[1,"runs","created_at",true,"\\u0000"]'],
)
def test_a_token_that_no_list_can_have_given_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="token"):
        paging.position(a_token(text), "runs", NEWEST, str)


def test_a_token_with_a_time_outside_of_the_calendar_is_refused() -> None:
    with pytest.raises(Invalid, match="token"):
        paging.position(a_token('[1,"runs","created_at",true,"0001-01-01T00:00:00+14:00"]'), "runs", NEWEST, datetime)


def test_the_longest_names_fit_into_a_token() -> None:
    longest = [datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=UTC), "p" * 63, "d" * 63, "\N{GRINNING FACE}" * 255, "v" * 63]
    token = paging.token("versions", NEWEST, longest)

    assert paging.position(token, "versions", NEWEST, datetime, str, str, str, str) == longest
