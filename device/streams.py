"""Frames through PyAV (the `video` extra): video files, V4L2 cameras, RTSP and other streams."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.config import CameraConfig
from device.errors import SourceError
from device.preprocess import MAX_FRAME_PIXELS, Pixels
from device.sources import Frame

MAX_FRAMES_BEFORE_KEY = 300
"""Some cameras refresh the picture bit by bit and never send a key frame."""
MAX_STREAM_PIXELS = 2 * MAX_FRAME_PIXELS
"""Of a film's frame: its decoder keeps several."""
LOW_LATENCY = {
    "fflags": "nobuffer",
    "flags": "low_delay",
    # Finding out what a stream is may not wait for more of it than a camera sends in a moment.
    "probesize": "500000",
    "analyzeduration": "500000",
}


@dataclass(frozen=True)
class VideoFile:
    """Every frame of a video file, in order."""

    path: Path
    live = False
    hang_is_final = False

    def frames(self) -> Iterator[Frame]:
        """Yield every frame; one that is damaged as a frame with an error.

        Raises:
            SourceError: if PyAV is missing or the file is no readable video.
        """
        av = pyav()
        try:
            with av.open(str(self.path)) as container:
                yield from _decoded(av, container, str(self.path), strict=True)
        except IndexError as error:
            raise SourceError(f"{self.path}: no video in it") from error
        except av.FFmpegError as error:
            raise SourceError(f"{self.path}: not a readable video ({error})") from error


@dataclass(frozen=True)
class V4l2Camera:
    """A USB or other Video4Linux camera."""

    device: str
    config: CameraConfig
    live = True
    # FFmpeg waits for a frame inside of the driver, past every time limit, and what waits there
    # keeps the device: each further attempt would find it busy.
    hang_is_final = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come.

        Raises:
            SourceError: if it cannot be opened, or goes away.
        """
        av = pyav()
        if not Path(self.device).exists():
            raise SourceError(f"{self.device}: no such camera; is it plugged in?")
        options = {
            "video_size": f"{self.config.width_px}x{self.config.height_px}",
            "framerate": f"{self.config.fps:g}",
        }
        yield from _live(av, self.device, self.config, options, "v4l2")


@dataclass(frozen=True)
class NetworkStream:
    """A camera on the network: RTSP, or films over HTTP; JPEG over HTTP is `HttpCamera`'s."""

    address: str
    config: CameraConfig
    live = True
    hang_is_final = False

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come.

        Raises:
            SourceError: if it cannot be reached, stops sending, or ends.
        """
        options = dict(LOW_LATENCY)
        if self.address.startswith("rtsp"):
            # UDP loses packets, and a firewall in between loses all of them.
            options["rtsp_transport"] = "tcp"
        yield from _live(pyav(), self.address, self.config, options, None)


def without_password(address: str) -> str:
    """An address as it may be shown: user and password of a URL replaced by dots."""
    # Up to the last @, as FFmpeg reads it: a password may have one, too.
    return re.sub(r"(?<=://)[^/?#]*@", "...@", address)


def _live(
    av: Any, address: str, config: CameraConfig, options: dict[str, str], kind: str | None
) -> Iterator[Frame]:
    shown = without_password(address)
    try:
        timeout = (config.open_limit_s, config.stall_limit_s)
        with av.open(address, format=kind, options=options, timeout=timeout) as container:
            yield from _decoded(av, container, shown, strict=address.startswith("http"))
    except IndexError as error:
        raise SourceError(f"{shown}: no video in it") from error
    except av.FFmpegError as error:
        reason = error.strerror or str(error)
        if isinstance(error, av.ExitError):
            reason = "it does not answer any more"
        raise SourceError(f"{shown}: {without_password(reason)}") from error
    raise SourceError(f"{shown}: the stream ended")


def _decoded(av: Any, container: Any, name: str, *, strict: bool) -> Iterator[Frame]:
    """Frames of a container's first video stream; a corrupt one costs itself alone.

    Args:
        av: the module.
        container: an open one.
        name: of the source, for the frames' names.
        strict: also refuse frames that the decoder could patch up, such as the upper half of a
            JPEG. Not for cameras whose frames are never quite right.
    """
    stream = container.streams.video[0]
    if strict:
        stream.codec_context.options = {"err_detect": "explode"}
    number, before_key = 0, 0
    for packet in container.demux(stream):
        started_s = time.perf_counter()
        try:
            decoded = packet.decode()
        except av.InvalidDataError as error:
            yield Frame(f"{name}#{number}", None, f"damaged frame: {error.strerror}")
            number += 1
            continue
        for frame in decoded:
            if not (frame.key_frame or number or before_key >= MAX_FRAMES_BEFORE_KEY):
                # Joined in the middle of a film: differences to what was never seen, all grey.
                before_key += 1
                continue
            picture = None if frame.is_corrupt else _pixels(frame, name)
            problem = "damaged frame" if picture is None else ""
            decode_s = time.perf_counter() - started_s
            yield Frame(f"{name}#{number}", picture, problem, time.monotonic(), decode_s)
            number += 1
            started_s = time.perf_counter()


def _pixels(frame: Any, name: str) -> Pixels:
    """A decoded frame as R, G, B; at half size above `MAX_FRAME_PIXELS`.

    Raises:
        SourceError: if the decoder alone, which keeps several of them, would fill the memory.
    """
    width, height = frame.width, frame.height
    if width * height > MAX_STREAM_PIXELS:
        size = f"{width}x{height} pixels are more than {MAX_STREAM_PIXELS:,}"
        raise SourceError(f"{name}: {size}: choose a smaller stream of the camera")
    if width * height > MAX_FRAME_PIXELS:
        frame = frame.reformat(width=width // 2, height=height // 2, format="rgb24")
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return pixels


def pyav() -> Any:
    """The module `av`; raises SourceError if it is missing."""
    try:
        import av
    except ImportError as error:
        raise SourceError(
            "films, V4L2, RTSP, and CSI cameras before the Pi 5 need PyAV: pip install av "
            "(the package's `video` extra)"
        ) from error
    return av
