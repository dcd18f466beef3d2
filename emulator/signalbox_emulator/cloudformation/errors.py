"""What CloudFormation refuses, in the form that moto's wire layer turns into an AWS error answer."""

from moto.core.exceptions import ServiceException


class ValidationError(ServiceException):
    """The request cannot be carried out as it stands; nothing was changed."""

    code = "ValidationError"


class AlreadyExists(ServiceException):
    code = "AlreadyExistsException"


class ChangeSetNotFound(ServiceException):
    code = "ChangeSetNotFound"


class NotSupported(ServiceException):
    """An action of CloudFormation that this emulator does not have."""

    code = "InvalidAction"
