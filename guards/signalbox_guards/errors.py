"""The ways in which a command can end early; each has the exit code that its caller may rely on."""


class GuardsError(Exception):
    """Says what, where, got and wanted in one sentence; `exit_code` is what the command ends with."""

    exit_code = 7


class BadInput(GuardsError):
    """The arguments or the files they name cannot be used."""

    exit_code = 2


class Refused(GuardsError):
    """A guard fails before it has a list of findings: a signature that does not hold, a template that needs CDK."""
