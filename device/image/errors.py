"""What can go wrong with images, grouped by who must act."""

from device.errors import FieldguideError


class ImageError(FieldguideError):
    """The image cannot be made: the user installs what is missing or changes a variable."""


class DiskError(FieldguideError):
    """This disk must not be written: the user names another one, or forces it."""


class WriteError(FieldguideError):
    """The card does not hold the image: the user writes again, or uses another card."""
