"""Opens the source of frames that an address means."""

import stat
from pathlib import Path

from device.camera.folder import FolderSource, check_photos
from device.camera.frame import EVERY_FRAME, Demand, FrameSource
from device.contract.formats import FILM_SUFFIXES
from device.contract.photos import MAX_FRAME_PIXELS
from device.contract.preprocess import Preprocessing
from device.errors import SourceError
from device.settings import address as addresses
from device.settings.address import AUTO, PICAMERA2
from device.settings.sections import LOOK_CHANGE, CameraConfig


def open_source(
    address: str,
    preprocessing: Preprocessing,
    config: CameraConfig | None = None,
    demand: Demand = EVERY_FRAME,
) -> FrameSource:
    """The source for an address; a camera is not opened before its first frame is requested.

    Args:
        address: auto, picamera2, /dev/videoN, rtsp:// or http:// (MJPEG), a folder of photos, or
            a video file by its suffix.
        preprocessing: lets photos be decoded smaller.
        config: the service's: size, rate and time limits for a camera.
        demand: when frames are wanted; others of a camera are not decoded.

    Raises:
        SourceError: if there is nothing at the address, or it gives no frames.
    """
    # The service has little memory; large JPEGs are decoded at a smaller size.
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
        check_photos(path)
        return FolderSource(path, preprocessing, max_pixels, config.look == LOOK_CHANGE)
    if path.suffix.lower() not in FILM_SUFFIXES:
        raise SourceError(f"{name}: neither a folder of photos nor a known kind of video file")
    from device.camera.pyav import VideoFile

    return VideoFile(path)


def is_camera(address: str) -> bool:
    """Whether an address means a live camera, which may come and go."""
    local = address in (AUTO, PICAMERA2) or addresses.is_device(address)
    return local or addresses.is_network_camera(address)


def _camera(address: str, config: CameraConfig, demand: Demand) -> FrameSource:
    # Each is imported only where it is used: a folder must need nothing but Pillow.
    # Here and not with the first frame: a slow import must not look like a hanging camera.
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
    from device.camera.pyav import NetworkStream, pyav
    from device.camera.v4l2 import V4l2Camera

    if addresses.is_device(address):
        pyav()
        return V4l2Camera(address, config, demand)
    return NetworkStream(address, config, demand)
