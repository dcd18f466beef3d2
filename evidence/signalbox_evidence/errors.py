"""The ways in which a command can end early; each has the exit code that its caller may rely on."""


class EvidenceError(Exception):
    """Says what, where, got and wanted in one sentence; `exit_code` is what the command ends with."""

    exit_code = 7


class BadInput(EvidenceError):
    """The arguments or the files they name cannot be used."""

    exit_code = 2


class Denied(EvidenceError):
    """AWS does not know the caller, or refuses it before anything was read."""

    exit_code = 4


class Unreachable(EvidenceError):
    """No answer from the AWS endpoint."""

    exit_code = 6


class ReadFailed(EvidenceError):
    """A fact could not be read: denied, throttled, missing or contradictory. Never a verdict, always `error`."""
