"""Python lists as PostgreSQL's array literals, fast: the hot path sends thousands of values in a statement.

The driver's own dumper escapes element by element with a regular expression, about a microsecond each. Here a list is
joined at once, and escaped only when the joined text holds something to escape. Casts in the statement (`::text[]`)
give the type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.adapt import Dumper
from psycopg.types.json import Jsonb


class ArrayDumper(Dumper):
    """For one-dimensional lists of one type, with None for NULL."""

    oid = 0  # unknown: taken from the statement

    def dump(self, obj: Sequence[Any]) -> bytes:
        return literal(obj).encode()


def literal(values: Sequence[Any]) -> str:
    """`{...}`: texts are quoted, bytes are hex, None is NULL."""
    if not values:
        return "{}"
    if None in values:
        return "{" + ",".join("NULL" if value is None else _element(value) for value in values) + "}"
    if isinstance(values[0], str):
        joined = "\x1f".join(values)
        if "\\" in joined or '"' in joined or joined.count("\x1f") != len(values) - 1:
            return "{" + ",".join(map(_element, values)) + "}"
        return '{"' + joined.replace("\x1f", '","') + '"}'
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    match value:
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case bool():
            return "t" if value else "f"
        case int() | float():
            return repr(value)
        case bytes():
            return f'"\\\\x{value.hex()}"'
        case datetime():
            return f'"{value.isoformat()}"'
        case timedelta():
            return f'"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"'
        case Jsonb():
            return _element(json.dumps(value.obj))
        case _:
            raise TypeError(f"an array of {type(value).__name__}: not known here")
