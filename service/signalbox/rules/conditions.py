"""What a condition may be signalled with."""

from __future__ import annotations

from enum import StrEnum


class ValueType(StrEnum):
    """The SDK's condition types."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STR = "str"


def mismatch(wanted: ValueType, got: ValueType) -> str | None:
    """Why a value of type `got` does not answer a condition of type `wanted`; None when it does."""
    return None if wanted is got else f"payload: the condition wants a value of type {wanted}, got {got}"
