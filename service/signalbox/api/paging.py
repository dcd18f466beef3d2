"""Page tokens and sizes: opaque to clients, of one version, and checked when they come back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast

from flyteidl2.common import list_pb2

from signalbox.errors import Invalid

LONGEST_PAGE = 100
_LONGEST_TOKEN = 2048
_VERSION = 1


class Order(NamedTuple):
    """By which key a list is sorted."""

    key: str
    descending: bool


def size(limit: int) -> int:
    """How many items come in a page. The SDK asks for up to 1,000 and follows the token: more is no error."""
    return min(limit, LONGEST_PAGE) if limit else LONGEST_PAGE


def order(request: list_pb2.ListRequest, *, keys: Sequence[str]) -> Order:
    """The one sort key of the request, or the first of `keys`, newest first. Raises Invalid for any other."""
    sorts = list(request.sort_by_fields) or ([request.sort_by] if request.HasField("sort_by") else [])
    return order_of(sorts, keys=keys)


def order_of(sorts: Sequence[list_pb2.Sort], *, keys: Sequence[str]) -> Order:
    if len(sorts) > 1:
        raise Invalid(f"sort_by_fields: one key, got {len(sorts)}")
    if not sorts or not sorts[0].key:
        return Order(keys[0], sorts[0].direction == list_pb2.Sort.DESCENDING if sorts else True)
    if sorts[0].key not in keys:
        raise Invalid(f"sort_by: {' or '.join(keys)}, got {sorts[0].key!r}")
    return Order(sorts[0].key, sorts[0].direction == list_pb2.Sort.DESCENDING)


def token(listed: str, order: Order, position: Sequence[str | int | datetime] | None) -> str:
    """Where the next page of `listed` begins, empty when there is none."""
    if position is None:
        return ""
    key = [part.isoformat() if isinstance(part, datetime) else part for part in position]
    parts = [_VERSION, listed, order.key, order.descending, *key]
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)  # a name of 255 emoji must fit too
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(text: str, listed: str, order: Order, *types: type[str | int | datetime]) -> list[str | int | datetime]:
    """What `token` was given, [] of an empty token. Raises Invalid for a token of anything else."""
    if not text:
        return []
    if len(text) > _LONGEST_TOKEN:
        raise Invalid(f"token: at most {_LONGEST_TOKEN} characters, got {len(text)}")
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as e:
        raise Invalid("token: not one that a list has given") from e
    head = [_VERSION, listed, order.key, order.descending]
    if not isinstance(parts, list):
        raise Invalid("token: not one that a list has given")
    parts = cast("list[object]", parts)
    if parts[: len(head)] != head:
        raise Invalid("token: it belongs to another list, or to another order of this one")
    if len(parts) != len(head) + len(types):
        raise Invalid("token: not one that a list has given")
    return [_parsed(part, kind) for part, kind in zip(parts[len(head) :], types, strict=True)]


def _parsed(part: object, kind: type[str | int | datetime]) -> str | int | datetime:
    if kind is datetime and isinstance(part, str):
        try:
            at = datetime.fromisoformat(part)
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        except (ValueError, OverflowError) as e:
            raise Invalid("token: not one that a list has given") from e
    if kind is not datetime and type(part) is kind:
        if isinstance(part, str) and "\0" not in part and _is_text(part):
            return part
        if isinstance(part, int) and abs(part) < 2**63:
            return part
    raise Invalid("token: not one that a list has given")


def _is_text(part: str) -> bool:
    """JSON can spell half of a character, which no database takes."""
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True
