"""What can go wrong, grouped by who must act.

Every command prints such an error as one line and exits with its `exit_status`; a traceback is
a bug. `train.errors` and `convert.errors` add their own below the same root.
"""


def one_line(error: BaseException) -> str:
    """The message of a library's or the system's error on one line; its type if it has none.

    It may hold secrets and control characters: pass it through `device.settings.address.safe` or
    `device.console.say` before it goes to a log or page.
    """
    return " ".join(str(error).split()) or type(error).__name__


class FieldguideError(Exception):
    """Root of every error that a user is meant to read."""

    exit_status = 1


class UsageError(FieldguideError):
    """The command line asks for something impossible: the user changes the command."""

    exit_status = 2


class PhotoError(FieldguideError):
    """One picture cannot be used: the user replaces or removes that picture."""


class SourceError(FieldguideError):
    """No frames are available: the user checks the camera, file or folder."""


class StalledError(SourceError):
    """A camera stopped sending pictures, although nothing says that it is gone."""


class CameraHangsError(SourceError):
    """A call into the camera never returned: only a new process helps, so the service ends."""


class BundleError(FieldguideError):
    """The bundle is not what its manifest says: the user builds or copies it again."""


class ThumbnailsError(FieldguideError):
    """Thumbnails cannot be shown: nobody need act, everything else in the bundle works."""


class BackgroundError(FieldguideError):
    """A kept background is of no use: nobody need act, the camera learns its place again."""


class DriftStateError(FieldguideError):
    """What was kept of drift is of no use: nobody need act, the camera's days are learned again."""


class MaskError(FieldguideError):
    """A picture of allowed places cannot be used: the user draws or names another."""


class ReleaseError(FieldguideError):
    """A release or rollout is not what its form says: its publisher signs another."""


class RuntimeUnavailableError(FieldguideError):
    """No interpreter can run the model here: the user installs or chooses another runtime."""


class SelfTestError(FieldguideError):
    """The interpreter's outputs differ from the golden ones: the bundle must not go live."""


class SlotError(FieldguideError):
    """A slot cannot be filled or made current: the user fixes what it names, and tries again."""


class UpdateError(FieldguideError):
    """A release was not taken: what runs goes on, and nobody need act unless it lasts."""


class UnfitError(UpdateError):
    """A release is signed and does not work on this board: its publisher signs another."""


class UnreachableError(UpdateError):
    """The releases cannot be fetched now: the user checks network and address if it lasts."""


class ExpiredError(UpdateError):
    """All is signed, but too old by this clock: the user sets the clock, or signs again."""


class ConfigError(FieldguideError):
    """A setting is unknown or out of range: the user corrects `fieldguide.toml`."""

    exit_status = 2


class SettingsUnreadError(ConfigError):
    """Settings cannot be read right now, but may be later: the service manager should restart."""

    exit_status = 1


class ClusterError(FieldguideError):
    """The cluster cannot do the work: the user starts it, or gives it what it lacks."""


class OutputError(FieldguideError):
    """An observation could not be delivered: the user checks the broker, disk or receiver."""


class ClassNameError(OutputError):
    """A frame cannot be saved under this name: the user chooses another."""
