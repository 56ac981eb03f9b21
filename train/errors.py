"""What can go wrong while training, grouped by who must act."""

from device.errors import FieldguideError


class DataError(FieldguideError):
    """The photos cannot be trained on: the user changes the folder."""


class WeightsError(FieldguideError):
    """The ImageNet weights are missing or damaged: the user fetches them or names another file."""


class DownloadError(FieldguideError):
    """Something could not be fetched: the user checks the network or copies the file here."""


class BuildFolderError(FieldguideError):
    """The build folder cannot be used: the user frees space, removes a file or names another."""


class TrainingError(FieldguideError):
    """Training cannot go on with these settings: the user changes them."""
