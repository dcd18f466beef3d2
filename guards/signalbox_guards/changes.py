"""What a guard says of one resource, whichever guard it is."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, computed_field


class Kind(StrEnum):
    REMOVED = "removed"
    RENAMED = "renamed"
    MOVED = "moved"
    TYPE = "type changed"
    REPLACED = "replaced"
    MAY_REPLACE = "may be replaced"
    UNPROTECTED = "loses protection"
    NEW = "not in the lock"


class Change(BaseModel):
    """`guarded`: of the declared list of types; `accepted`: the reason, when the register has one for this change."""

    model_config = ConfigDict(frozen=True)

    configuration: str
    stack: str
    logical_id: str
    type: str
    kind: Kind
    causes: tuple[str, ...]
    becomes: str
    guarded: bool
    accepted: str | None = None

    @property
    def address(self) -> str:
        return f"{self.stack}/{self.logical_id}"

    @computed_field
    @property
    def fails(self) -> bool:
        return self.guarded and self.accepted is None

    def line(self) -> str:
        """One change in words, several lines when there are several causes."""
        mark = "FAIL" if self.fails else "accepted" if self.accepted else "info"
        head = f"{mark}: {self.configuration}: {self.address} ({self.type}): {self.kind}"
        told = [*self.causes, *([f"accepted: {self.accepted}"] if self.accepted else [])]
        return "\n".join([head, *(f"    {cause}" for cause in told)])


_LEVELS = {"Delete": 0, "Snapshot": 1, "RetainExceptOnCreate": 2, "Retain": 3}


def weaker(before: str, after: str) -> bool:
    """Whether a DeletionPolicy or UpdateReplacePolicy keeps less than it did."""
    return _LEVELS.get(after, 0) < _LEVELS.get(before, 0)
