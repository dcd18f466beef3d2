"""How the commands of this room end when they cannot do what was asked: one sentence, and a stable exit code."""

from __future__ import annotations

from signalbox import errors


class Failed(Exception):
    """Work was begun and went wrong; `lines` are the last ones of the log that tells more."""

    def __init__(self, message: str, *, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines


EXIT_CODES: dict[type[Exception], int] = {
    errors.Invalid: 2,
    errors.NotFound: 3,
    errors.Forbidden: 4,
    errors.AlreadyExists: 5,
    errors.Conflict: 5,
    errors.Precondition: 5,
    errors.Unavailable: 6,
    Failed: 7,
}


def described(error: Exception) -> str:
    """The sentence for the terminal."""
    if isinstance(error, errors.SignalboxError):
        return f"{error.message}\n  {error.hint}" if error.hint else error.message
    return "\n".join([str(error), *(f"  | {line}" for line in getattr(error, "lines", ()))])
