"""When a result may stand for another: keys, scopes, and what a look into the cache means for a new action."""

from __future__ import annotations

import base64
import hashlib
from enum import StrEnum


class CacheStatus(StrEnum):
    """Flyte's words."""

    DISABLED = "disabled"
    MISS = "miss"
    HIT = "hit"
    POPULATED = "populated"
    LOOKUP_FAILURE = "lookup_failure"
    PUT_FAILURE = "put_failure"
    SKIPPED = "skipped"
    """Not looked up: the run overwrites what is kept."""
    EVICTED = "evicted"


GLOBAL = ""
"""The scope of an org as a whole."""


def scope(project: str, domain: str, *, is_global: bool) -> str:
    """Where a key counts: in the project and domain, or (the run asked for it) in all of the org."""
    return GLOBAL if is_global else f"{project}/{domain}"


def root_key(*, inputs_hash: str, task_name: str, interface: bytes, discovery_version: str) -> str:
    """Cache key of a run's root. The SDK computes those of children, by this formula (flyte, `runtime/convert.py`).

    `interface`: the serialized TypedInterface, its variables in order of their names.
    """
    interface_hash = _hash(interface)
    return _hash(f"{inputs_hash}{task_name}{interface_hash}{discovery_version}".encode())


def _hash(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
