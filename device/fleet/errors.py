"""What can go wrong with a fleet's folder and its keys, grouped by who must act."""

from device.errors import FieldguideError


def unread(error: OSError | UnicodeDecodeError) -> str:
    """Why a text file could not be read, for after its name."""
    return "no text" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


class FleetError(FieldguideError):
    """The folder of releases cannot be changed like this: the user does what the message says."""


class NoKeyError(FleetError):
    """A key is not here, or does not open: the user brings it, or gives its passphrase."""
