"""Stands in for the org that a client left empty, before validation asks for one.

The SDK sends an empty org when neither its configuration nor the host names one, in every identifier of a request.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_NAMES = frozenset({"org", "organization"})
# Messages that only hold what their author put there: nothing in them names the org of the request.
_OPAQUE = ("flyteidl2.core.", "flyteidl2.task.TaskSpec", "flyteidl2.task.RunSpec", "google.protobuf.")
_DEEPEST = 4


def fill(message: Message, org: str) -> None:
    """Set the org of every identifier in the request that has none."""
    for field, leads_to_org in _fields(message.DESCRIPTOR):
        if field.message_type is None:
            oneof = field.containing_oneof
            chosen = oneof is None or message.WhichOneof(oneof.name) == field.name
            if chosen and not getattr(message, field.name):
                setattr(message, field.name, org)
        elif leads_to_org and message.HasField(field.name):
            fill(getattr(message, field.name), org)


@cache
def _fields(descriptor: Descriptor, depth: int = 0) -> list[tuple[FieldDescriptor, bool]]:
    """Fields that are an org, and singular messages somewhere below which there is one."""
    found: list[tuple[FieldDescriptor, bool]] = []
    for field in descriptor.fields:
        if field.name in _NAMES and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            found.append((field, False))
        below: Any = field.message_type
        if below is None or field.is_repeated or depth > _DEEPEST or below.full_name.startswith(_OPAQUE):
            continue
        if _fields(below, depth + 1):
            found.append((field, True))
    return found
