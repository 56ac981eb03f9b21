"""CSI cameras of a Raspberry Pi, through picamera2.

picamera2 comes from the system (`apt install python3-picamera2`); it is imported on use.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from device.camera.frame import Frame, FrameSource
from device.camera.pyav import pyav
from device.contract.arrays import Pixels
from device.errors import SourceError, one_line
from device.settings.sections import CameraConfig

STREAM = "lores"
RGB = "BGR888"
"""libcamera names formats by little-endian word order: "BGR888" is R, G, B in memory."""
YUV = "YUV420"
WIDTH_STEP_PX = 64
"""The ISP pads rows to a multiple of this; a width that is a multiple needs no padding."""


@dataclass(frozen=True)
class PiCamera(FrameSource):
    """The first CSI camera; its low-resolution stream, scaled by the ISP.

    A Pi 5 delivers that stream as RGB, a Pi 4 and older ones as YUV420 only.
    """

    config: CameraConfig
    live = True
    # stop() and close() block forever after a lost cable (raspberrypi/picamera2#1065, #1264).
    hang_is_final = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come, one camera request each.

        Raises:
            SourceError: if picamera2 or the camera is missing, or the camera is in use.
        """
        camera = _open()
        try:
            kind = _configure(camera, self.config)
            camera.start()
            yield from _requests(camera, kind)
        except (RuntimeError, OSError) as error:
            raise SourceError(f"picamera2: {one_line(error)}") from error
        finally:
            try:
                camera.stop()
            finally:
                # In any case: a camera that is not closed cannot be opened again.
                camera.close()


def load() -> bool:
    """Import picamera2, which takes many seconds on a board that just booted; false if missing."""
    try:
        _picamera2()
    except SourceError:
        return False
    return True


def count_cameras() -> int:
    """How many CSI cameras there are; 0 without picamera2."""
    try:
        return len(_picamera2().global_camera_info())
    except SourceError:
        return 0


def rgb_from_yuv420(planes: Pixels, width: int, height: int) -> Pixels:
    """Convert a request's YUV420 array to RGB.

    Args:
        planes: uint8 (height * 3 / 2, stride): Y rows of `stride` bytes, then U, then V with rows
            of stride / 2; anything beyond the picture's width is padding.
        width: pixels, even, at most the stride.
        height: pixels, even.

    Raises:
        SourceError: if PyAV is missing.

    Returns:
        uint8 (height, width, 3), by full-range BT.601 (libcamera's "sYCC", which previews use).
    """
    av = pyav()
    from av.video.reformatter import ColorRange, Colorspace

    stride, flat = planes.shape[1], planes.reshape(-1)
    luma, chroma = height * stride, height * stride // 4
    packed = np.concatenate(
        [
            flat[:luma].reshape(height, stride)[:, :width].reshape(-1),
            *(
                flat[start : start + chroma].reshape(height // 2, stride // 2)[:, : width // 2].flat
                for start in (luma, luma + chroma)
            ),
        ]
    )
    frame = av.VideoFrame.from_ndarray(packed.reshape(height * 3 // 2, width), format="yuv420p")
    rgb: Pixels = frame.to_ndarray(
        format="rgb24", src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.JPEG
    )
    return rgb


def _requests(camera: Any, kind: str) -> Iterator[Frame]:
    width, height = camera.camera_configuration()[STREAM]["size"]
    number = 0
    while True:
        # One request carries picture and metadata; asking for them separately would wait for two
        # frames (raspberrypi/picamera2#950).
        request = camera.capture_request()
        started_s = time.perf_counter()
        try:
            array = request.make_array(STREAM)
        finally:
            request.release()
        picture = array if kind == RGB else rgb_from_yuv420(array, width, height)
        decode_s = time.perf_counter() - started_s
        yield Frame(f"picamera2#{number}", picture, "", time.monotonic(), decode_s)
        number += 1


def _configure(camera: Any, config: CameraConfig) -> str:
    """Configure the camera; returns the format of its low-resolution stream."""
    width = max(WIDTH_STEP_PX, config.width_px // WIDTH_STEP_PX * WIDTH_STEP_PX)
    size = (width, max(2, config.height_px // 2 * 2))
    for kind in (RGB, YUV):
        wanted = camera.create_preview_configuration(
            # Nobody reads the main stream, but the low-resolution one may not be larger than it.
            main={"size": size},
            lores={"size": size, "format": kind},
            controls={"FrameRate": config.fps},
        )
        try:
            camera.configure(wanted)
        except RuntimeError:
            if kind == YUV:
                raise
        else:
            return kind
    raise AssertionError("unreachable")


def _open() -> Any:
    picamera2 = _picamera2()
    if not picamera2.global_camera_info():
        raise SourceError("picamera2: no CSI camera found; check its cable (rpicam-hello --list)")
    try:
        return picamera2()
    except (RuntimeError, IndexError) as error:
        raise SourceError(
            f"picamera2: the camera cannot be opened, another program may hold it "
            f"({one_line(error)})"
        ) from error


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2
    except Exception as error:
        # Against another NumPy or Python, libcamera's bindings fail with errors of several types.
        raise SourceError(
            f"picamera2 cannot be imported ({one_line(error)}): apt install python3-picamera2, "
            "and make the venv with --system-site-packages"
        ) from error
    return Picamera2
