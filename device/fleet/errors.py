"""What can go wrong with a fleet's folder and its keys, grouped by who must act."""

from device.errors import FieldguideError


class FleetError(FieldguideError):
    """The folder of releases cannot be changed like this: the user does what the message says."""


class NoKeyError(FleetError):
    """A key is not here, or does not open: the user brings it, or gives its passphrase."""
