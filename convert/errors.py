"""What can go wrong while converting, grouped by who must act."""

from device.errors import FieldguideError


class InputError(FieldguideError):
    """A file of an earlier step is missing or damaged, or a tool is: the user makes it again."""


class ConversionError(FieldguideError):
    """The converter produced a model that this project does not ship: a bug to report."""


class GateError(FieldguideError):
    """The quantized model lost too much: the user looks at the table and decides."""

    exit_status = 3
