"""What ends the process on purpose, each with its exit code, and what the object store refuses."""

from __future__ import annotations

USAGE = 2
REFUSED = 4
REPLACED = 5
UNAVAILABLE = 6
FAILED = 7


class Exit(Exception):
    """Ends the process with `code`; the message is the sentence its operator reads."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StoreError(Exception):
    """The object store could not do what was asked."""


class ObjectMissing(StoreError):
    """There is no object of this URI."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"no object {uri}")
        self.uri = uri


class OutsideStore(StoreError):
    """The URI is not one of this data plane's store, or no proper object name."""

    def __init__(self, uri: str, wanted: str) -> None:
        super().__init__(f"got {uri!r}, wanted {wanted}")
