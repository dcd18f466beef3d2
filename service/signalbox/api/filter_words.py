"""Filters in words. Two forms mean the same: `action_type == 3`, and the older grammar of projects (`eq(state, 0)`,
joined by `+`).
"""

from __future__ import annotations

import re

from flyteidl2.common import list_pb2

from signalbox.errors import Invalid

Filter = list_pb2.Filter

_LONGEST = 8192
_WORD, _FIELD = re.compile(r"\w+"), re.compile(r"[\w.]+")
_INFIX = {"==": Filter.EQUAL, "=": Filter.EQUAL, "!=": Filter.NOT_EQUAL}
_PREFIX = {
    "eq": Filter.EQUAL,
    "ne": Filter.NOT_EQUAL,
    "gt": Filter.GREATER_THAN,
    "gte": Filter.GREATER_THAN_OR_EQUAL,
    "lt": Filter.LESS_THAN,
    "lte": Filter.LESS_THAN_OR_EQUAL,
    "contains": Filter.CONTAINS,
    "value_in": Filter.VALUE_IN,
}


def parse(text: str) -> list[Filter]:
    """`eq(state, 0)+contains(name, x)` or `state == 0`. Raises Invalid. Takes time in proportion to the text."""
    if len(text) > _LONGEST:
        raise Invalid(f"filter: at most {_LONGEST} characters, got {len(text)}")
    return [_one(part.strip()) for part in text.split("+")] if text.strip() else []


def _one(text: str) -> Filter:
    # By hand: patterns that may put a space into one of several places try all of them.
    function, opened, inner = text.partition("(")
    field, comma, value = (part.strip() for part in inner.removesuffix(")").partition(","))
    if opened and comma and text.endswith(")") and _WORD.fullmatch(function) and _FIELD.fullmatch(field):
        if function not in _PREFIX:
            raise Invalid(f"filter {text!r}: {', '.join(_PREFIX)}, got {function!r}")
        values = [part.strip() for part in value.split(";")] if function == "value_in" else [value]
        return Filter(function=_PREFIX[function], field=field, values=values)
    if infix := re.fullmatch(r"([\w.]+)\s*(==|!=|=)\s*(.*)", text, re.DOTALL):
        field, sign, value = infix.groups()
        return Filter(function=_INFIX[sign], field=field, values=[value.strip("'\"")])
    raise Invalid(f"filter {text!r}: 'eq(field, value)' or 'field == value' expected")
