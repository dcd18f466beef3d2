"""One byte form for every JSON value, so that equal content has an equal digest: sorted keys, UTF-8, no white space."""

import hashlib
import json
from typing import Any  # JSON has no narrower type

Json = dict[str, Any]


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(content: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def pretty(value: Any) -> str:
    """The form that is committed and reviewed: sorted keys, two spaces, a final newline."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
