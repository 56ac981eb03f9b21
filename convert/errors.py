"""What can go wrong while converting, grouped by who must act."""

from device.errors import FieldguideError


class InputError(FieldguideError):
    """What training should have left is missing or damaged: the user trains again."""


class ConversionError(FieldguideError):
    """The converter gave something that this project does not ship: a bug to report."""


class GateError(FieldguideError):
    """The quantized model lost too much: the user looks at the table and decides."""

    exit_status = 3
