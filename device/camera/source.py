"""Where frames come from: the protocol, folders of photos, and which source an address means."""

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from device.contract.folders import photos_below
from device.contract.formats import PHOTO_SUFFIXES
from device.contract.preprocess import (
    MAX_FRAME_PIXELS,
    Pixels,
    Preprocessing,
    decode,
    pixels,
    read_photo,
)
from device.errors import PhotoError, SourceError
from device.settings import address as addresses
from device.settings.sections import CameraConfig

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".mjpeg", ".mjpg", ".ts"})
PICAMERA2 = "picamera2"
AUTO = "auto"


@dataclass(frozen=True)
class Frame:
    """One picture from a source, or why it could not be decoded."""

    name: str
    """Path of the photo, or the source's address with the frame's number."""
    picture: Pixels | None
    """uint8 (h, w, 3) R, G, B, any size; nobody writes to it any more."""
    error: str = ""
    captured_s: float = 0.0
    """`time.monotonic()` when the picture was complete."""
    decode_s: float = 0.0
    """Time to read and decode it, seconds; waiting for a camera is not counted."""
    outdated: int = 0
    """How many of a camera's frames before it were passed over, for it had come already."""
    lag_s: float = 0.0
    """How far behind a camera's stream it is; `captured_s` is as long ago as well."""

    @property
    def is_passed_over(self) -> bool:
        """Whether it only says that the camera sends: nobody wanted this frame decoded."""
        return self.picture is None and not self.error


class Demand(Protocol):
    """Who looks at a camera's frames."""

    @property
    def due_s(self) -> float:
        """`time.monotonic()` from which the next frame is wanted; before that none is."""
        ...


class Always:
    """Every frame is wanted."""

    due_s = float("-inf")


ALWAYS = Always()


class FrameSource(Protocol):
    """Something that yields frames until it ends."""

    live: bool
    """A camera, whose newest frame matters; a file's frames all do."""
    hang_is_final: bool
    """Whether a call that hangs leaves the camera unusable for this process."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError when there can be no more through a fault."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """The photos of a folder, by name, once."""

    folder: Path
    preprocessing: Preprocessing
    max_pixels: int | None = None
    """As `decode` takes it."""
    live = False
    hang_is_final = False

    def frames(self) -> Iterator[Frame]:
        """Yield one frame per photo; what cannot be read gives a frame with an error.

        That are damaged photos, and at the end the subfolders that nobody may look into.
        """
        closed: list[OSError] = []
        for path in photos_below(self.folder, closed=closed.append):
            yield self._frame(path)
        for error in closed:
            yield Frame(str(error.filename), None, error.strerror or str(error), time.monotonic())

    def _frame(self, path: Path) -> Frame:
        started_s = time.perf_counter()
        picture, problem = None, ""
        try:
            picture = pixels(
                decode(read_photo(path), self.preprocessing, max_pixels=self.max_pixels)
            )
        except PhotoError as error:
            problem = str(error)
        decode_s = time.perf_counter() - started_s
        return Frame(str(path), picture, problem, time.monotonic(), decode_s)


def open_source(
    address: str,
    preprocessing: Preprocessing,
    config: CameraConfig | None = None,
    demand: Demand = ALWAYS,
) -> FrameSource:
    """The source for an address; a camera is not touched before its first frame is asked for.

    Args:
        address: auto, picamera2, /dev/videoN, rtsp:// or http:// (MJPEG), a folder of photos, or
            a video file by its suffix.
        preprocessing: lets photos be decoded smaller.
        config: of the service: size, rate and time limits asked of a camera.
        demand: lets a camera's frames go undecoded while nobody wants one.

    Raises:
        SourceError: if there is nothing, or nothing that gives frames.
    """
    # The service has little memory; JPEGs come small out of their decoder.
    max_pixels = 2 * MAX_FRAME_PIXELS if config else None
    config = config or CameraConfig()
    if not address:
        raise SourceError("no source: name a folder of photos, a video file or a camera")
    addresses.remember(address)
    name = addresses.shown(address)
    if wrong := addresses.problem(address):
        raise SourceError(f"{name}: {wrong}")
    if is_camera(address):
        return _camera(address, config, demand)
    path = Path(address)
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(f"{name}: no such folder, video file or camera") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"{name}: {reason}") from error
    if is_folder:
        _check_photos(path)
        return FolderSource(path, preprocessing, max_pixels)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise SourceError(f"{name}: neither a folder of photos nor a known kind of video file")
    from device.camera.pyav import VideoFile

    return VideoFile(path)


def _check_photos(folder: Path) -> None:
    closed: list[OSError] = []
    if next(photos_below(folder, closed=closed.append), None) is not None:
        return
    if closed:
        raise SourceError(f"{closed[0].filename}: {closed[0].strerror}")
    raise SourceError(f"{folder}: no photos in this folder ({_suffixes()})")


def is_camera(address: str) -> bool:
    """Whether an address means something live, that comes and goes."""
    local = address in (AUTO, PICAMERA2) or address.startswith("/dev/")
    return local or addresses.is_camera(address)


def _camera(address: str, config: CameraConfig, demand: Demand) -> FrameSource:
    # Each imported only where it is used: Pillow alone must do for a folder.
    # Here and not with the first frame: a slow import is no camera that hangs.
    if address == AUTO:
        from device.camera import auto

        auto.load()
        return auto.AutoCamera(config, demand)
    if address == PICAMERA2:
        from device.camera import picamera

        picamera.load()
        return picamera.PiCamera(config)
    address = addresses.with_plain_scheme(address)
    if address.startswith(("http://", "https://")):
        from device.camera.http.camera import HttpCamera

        return HttpCamera(address, config, demand)
    from device.camera.pyav import NetworkStream, V4l2Camera, pyav

    if address.startswith("/dev/"):
        pyav()
        return V4l2Camera(address, config, demand)
    return NetworkStream(address, config, demand)


def _suffixes() -> str:
    return ", ".join(sorted(PHOTO_SUFFIXES))
