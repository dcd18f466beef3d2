"""The ten errors that the product tells its callers, and nothing else.

Each has a Connect code (as a string: only the API room knows connectrpc) and a public sentence; `detail` is for the log
alone. What a caller may not know exists is `NotFound`, never `Forbidden`. Anything that is not one of these is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class SignalboxError(Exception):
    """A sentence for the caller; `hint` says what to do about it, `detail` goes to the log only."""

    code: ClassVar[str]

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    @property
    def public(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Invalid(SignalboxError):
    """The request cannot be right in any state of the system."""

    code = "invalid_argument"


class NotFound(SignalboxError):
    code = "not_found"


class AlreadyExists(SignalboxError):
    code = "already_exists"


class Forbidden(SignalboxError):
    code = "permission_denied"


class Unauthenticated(SignalboxError):
    code = "unauthenticated"


class Conflict(SignalboxError):
    """The state of the system forbids it. The SDK's controller stops a parent on this code: its run was aborted."""

    code = "aborted"


class Precondition(SignalboxError):
    """The thing is not in a state in which this can be done to it; trying again does not help."""

    code = "failed_precondition"


class Exhausted(SignalboxError):
    """A limit is reached; the same request may succeed later."""

    code = "resource_exhausted"


class Unavailable(SignalboxError):
    """A part is missing for now; clients try again by themselves."""

    code = "unavailable"


class Contended(Unavailable):
    """Others hold what the request needs, or changed it at the same time. To callers: unavailable.

    A class of its own for batches: what stands in the way of one item need not concern its neighbours.
    """


class Unserved(SignalboxError):
    """An RPC of Flyte's API that this version does not serve; the message says why."""

    code = "unimplemented"
