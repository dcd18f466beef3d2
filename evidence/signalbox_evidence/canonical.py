"""One byte form for every JSON value, so that equal content has an equal digest.

Keys are sorted, no insignificant white space, UTF-8 (RFC 8785 for the strings, integers, booleans and
nulls that appear here; no floats are stored). Times are UTC with microseconds and a `Z`.
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any  # JSON has no narrower type

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://signalbox.dev/evidence")


def utc(at: datetime) -> str:
    """`at` (aware) as `2026-11-23T20:53:00.000000Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return utc(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def canonical(value: Any) -> bytes:
    """The canonical bytes of `value`; raises TypeError on what JSON cannot hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain, allow_nan=False)
    return text.encode()


def digest(content: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def name_uuid(*parts: str) -> str:
    """The uuid5 of `parts` in this tool's name space: the same parts give the same id for ever."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))
