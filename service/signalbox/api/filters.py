"""Filters of list requests: parsed into conditions of the store, or refused by name. None is ever ignored.

Fields and functions are those that the SDK and the console of Flyte send, and what is as cheap. Those in words are
parsed by `filter_words`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flyteidl2.common import list_pb2
from flyteidl2.workflow import run_definition_pb2

from signalbox.api import filter_words, wire
from signalbox.control.run_views import ActionView
from signalbox.errors import Invalid
from signalbox.op import Kind
from signalbox.rules.phases import Phase
from signalbox.store.run_views import Among, Conditions

Filter = list_pb2.Filter

_LABEL = "labels."
_MOST_FILTERS = 100
_MOST_VALUES = 1000
_LONGEST_VALUE = 512
_TICK = timedelta(microseconds=1)  # the database's own resolution


def of(request: list_pb2.ListRequest) -> list[Filter]:
    """All filters of the request, whichever form they have. Raises Invalid."""
    found = [*request.filters, *(parsed for text in request.raw_filters for parsed in filter_words.parse(text))]
    return few(found)


def few(filters: Sequence[Filter]) -> list[Filter]:
    """The filters, if a list can be expected to meet so many. Raises Invalid."""
    if len(filters) > _MOST_FILTERS:
        raise Invalid(f"filters: at most {_MOST_FILTERS}, got {len(filters)}")
    return list(filters)


def of_runs(filters: Iterable[Filter], *, but: Conditions | None = None) -> Conditions:
    """Conditions on runs, further to `but`. Raises Invalid, naming what is not known."""
    return _narrowed(filters, _RUN_FIELDS, but or Conditions())


def of_actions(filters: Iterable[Filter]) -> Conditions:
    return _narrowed(filters, _ACTION_FIELDS, Conditions())


def meets(filters: Sequence[Filter]) -> Callable[[ActionView], bool]:
    """Whether an action of a watch meets all of its filters: NAME and PHASE, in capitals or not. Raises Invalid."""
    parts: list[str] = []
    phases = frozenset(Phase)
    for one in few(filters):
        match one.field.lower(), one.function:
            case "name", Filter.CONTAINS_CASE_INSENSITIVE | Filter.CONTAINS:
                parts.append(_one(one).lower())
            case "phase", Filter.EQUAL | Filter.VALUE_IN:
                phases &= {_phase(value) for value in _values(one)}
            case _:
                raise unknown(one, ("name", "phase"))

    def met(view: ActionView) -> bool:
        row = view.row
        shown = f"{row.name}\n{row.short_name}\n{row.task_name}".lower()
        return row.phase in phases and all(part in shown for part in parts)

    return met


def text(one: Filter, was: Among) -> Among:
    """The condition on a text, further to what it was. Raises Invalid for a function that texts do not have."""
    match one.function:
        case Filter.EQUAL:
            return was._replace(values=_narrower(was.values, [_one(one)]))
        case Filter.VALUE_IN:
            return was._replace(values=_narrower(was.values, _values(one)))
        case Filter.NOT_EQUAL | Filter.VALUE_NOT_IN:
            patterns = [f"^(?!{re.escape(value)}$)" for value in _values(one)]
        case Filter.CONTAINS:
            patterns = [re.escape(_one(one))]
        case Filter.CONTAINS_CASE_INSENSITIVE:
            patterns = ["(?i)" + re.escape(_one(one))]
        case Filter.ENDS_WITH:
            patterns = [re.escape(_one(one)) + "$"]
        case Filter.NOT_ENDS_WITH:
            patterns = [f"^(?!.*{re.escape(_one(one))}$)"]
        case _:
            raise _unserved_function(one)
    return was._replace(patterns=[*was.patterns, *patterns])


def principals(one: Filter, was: Sequence[str] | None) -> Sequence[str]:
    """Stored principals whose subject is the filter's: callers are shown, and name, subjects alone."""
    if one.function not in (Filter.EQUAL, Filter.VALUE_IN):
        raise _unserved_function(one)
    subjects = [_one(one)] if one.function == Filter.EQUAL else _values(one)
    return _narrower(was, [f"{kind}:{subject}" for subject in subjects for kind in Kind])


def times(one: Filter, was: tuple[datetime | None, datetime | None]) -> tuple[datetime | None, datetime | None]:
    """From (inclusive) and until (exclusive), further to what they were."""
    start, end = was
    at = _time(one)
    match one.function:
        case Filter.GREATER_THAN_OR_EQUAL:
            return max(at, start) if start else at, end
        case Filter.GREATER_THAN:
            return max(_after(one, at), start) if start else _after(one, at), end
        case Filter.LESS_THAN:
            return start, min(at, end) if end else at
        case Filter.LESS_THAN_OR_EQUAL:
            return start, min(_after(one, at), end) if end else _after(one, at)
        case _:
            raise _unserved_function(one)


def chosen(one: Filter, was: Sequence[Any] | None, every: Iterable[Any], parse: Callable[[str], Any]) -> list[Any]:
    """Of a closed set of things (`every`), those that the filter leaves; `parse` may give what is not in the set."""
    named = {parse(value) for value in _values(one)}
    match one.function:
        case Filter.EQUAL | Filter.VALUE_IN:
            left = named
        case Filter.NOT_EQUAL | Filter.VALUE_NOT_IN:
            left = set(every) - named
        case _:
            raise _unserved_function(one)
    return [thing for thing in every if thing in left and (was is None or thing in was)]


def unknown(one: Filter, known: Iterable[str]) -> Invalid:
    """What to raise for a field that a list does not have."""
    names = ", ".join(f"{name}<key>" if name == _LABEL else name for name in known)
    return Invalid(f"filter {one.field} {_function(one)}: not known here", hint=f"fields: {names}")


def _narrowed(filters: Iterable[Filter], fields: dict[str, _Narrow], conditions: Conditions) -> Conditions:
    for one in filters:
        name = _LABEL if one.field.startswith(_LABEL) else one.field
        if name not in fields:
            raise unknown(one, fields)
        conditions = replace(conditions, **fields[name](one, conditions))
    return conditions


_Narrow = Callable[[Filter, Conditions], dict[str, Any]]


def _text_field(field: str) -> _Narrow:
    return lambda one, was: {field: text(one, getattr(was, field))}


def _time_field(field: str) -> _Narrow:
    def narrow(one: Filter, was: Conditions) -> dict[str, Any]:
        start, end = times(one, (getattr(was, f"{field}_from"), getattr(was, f"{field}_until")))
        return {f"{field}_from": start, f"{field}_until": end}

    return narrow


def _by_phase(one: Filter, was: Conditions) -> dict[str, Any]:
    return {"phases": chosen(one, was.phases, Phase, _phase)}


def _by_type(one: Filter, was: Conditions) -> dict[str, Any]:
    """Types that this version has no actions of (conditions) leave none."""
    kinds = {int(number): kind for kind, number in wire.ACTION_TYPES.items()}

    def parse(value: str) -> Any:
        known = run_definition_pb2.ActionType.values()
        if not value.isdecimal() or int(value) not in known:
            raise Invalid(f"filter {one.field}: a number from 1 to {max(known)}, got {value!r}")
        return kinds.get(int(value))

    return {"kinds": chosen(one, was.kinds, list(kinds.values()), parse)}


def _by_parent(one: Filter, was: Conditions) -> dict[str, Any]:
    if one.function not in (Filter.EQUAL, Filter.VALUE_IN):
        raise _unserved_function(one)
    return {"parents": _narrower(was.parents, _values(one))}


def _by_label(one: Filter, was: Conditions) -> dict[str, Any]:
    key = one.field.removeprefix(_LABEL)
    match one.function:
        case Filter.EQUAL:
            return {"labels": [*was.labels, (key, _one(one))]}
        case Filter.EXISTS:
            return {"label_keys": [*was.label_keys, key]}
        case Filter.NOT_EXISTS:
            return {"no_label_keys": [*was.no_label_keys, key]}
        case _:
            raise _unserved_function(one)


_SHARED: dict[str, _Narrow] = {
    "phase": _by_phase,
    "task_name": _text_field("task_name"),
    "task_version": _text_field("task_version"),
    "function_name": _text_field("short_name"),
    "created_by": lambda one, was: {"created_by": principals(one, was.created_by)},
    "created_at": _time_field("created"),
    "updated_at": _time_field("updated"),
    "name": _text_field("name"),
}
_RUN_FIELDS: dict[str, _Narrow] = {**_SHARED, "run_name": _text_field("name"), _LABEL: _by_label}
_ACTION_FIELDS: dict[str, _Narrow] = {**_SHARED, "action_type": _by_type, "parent_name": _by_parent}


def _narrower(was: Sequence[str] | None, values: Sequence[str]) -> list[str]:
    return [value for value in values if was is None or value in was]


def _values(one: Filter) -> list[str]:
    if not 1 <= len(one.values) <= _MOST_VALUES:
        raise Invalid(f"filter {one.field}: 1 to {_MOST_VALUES} values, got {len(one.values)}")
    for value in one.values:
        if len(value) > _LONGEST_VALUE or "\0" in value:
            raise Invalid(f"filter {one.field}: a value has at most {_LONGEST_VALUE} characters and no NUL")
    return list(one.values)


def _one(one: Filter) -> str:
    values = _values(one)
    if len(values) > 1:
        raise Invalid(f"filter {one.field}: one value for {_function(one)}, got {len(values)}")
    return values[0]


def _phase(value: str) -> Phase:
    if not value.isdecimal():
        raise Invalid(f"filter phase: the number of a phase, got {value!r}")
    return wire.phase(int(value), what="filter phase")


def _time(one: Filter) -> datetime:
    value = _one(one)
    try:
        at = datetime.fromisoformat(value)
    except ValueError as e:
        raise Invalid(f"filter {one.field}: a time in ISO 8601, got {value!r}") from e
    if at.tzinfo is None:
        raise Invalid(f"filter {one.field}: a time with its zone, got {value!r}")
    try:
        return at.astimezone(UTC)
    except OverflowError as e:
        raise Invalid(f"filter {one.field}: a time of the years 1 to 9999 in UTC, got {value!r}") from e


def _after(one: Filter, at: datetime) -> datetime:
    try:
        return at + _TICK
    except OverflowError as e:
        raise Invalid(f"filter {one.field}: there is no time after {at.isoformat()}") from e


def _unserved_function(one: Filter) -> Invalid:
    return Invalid(f"filter {one.field}: {_function(one)} is not a function of this field")


def _function(one: Filter) -> str:
    known = Filter.Function.DESCRIPTOR.values_by_number.get(one.function)
    return known.name if known else str(one.function)
