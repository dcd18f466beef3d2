"""Why a command of this distribution ends other than well, and its exit code."""


class Failure(Exception):
    """One clear sentence for the user."""

    code = 7


class Unavailable(Failure):
    """Something that the command needs is not there, or does not answer."""

    code = 6


class Conflict(Failure):
    """Another process holds what the command needs."""

    code = 5


class NotFound(Failure):
    code = 3


class Failed(Failure):
    """The work itself failed: a synthesis, a deployment."""
