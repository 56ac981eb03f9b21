"""Frames through PyAV (the `video` extra): video files, RTSP and other streams."""

import errno
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.camera.follow import Choice, Follower
from device.camera.frame import EVERY_FRAME, Demand, Frame, FrameSource
from device.camera.pictures import Decoder, join_slices, warn_of_damage
from device.errors import SourceError, StalledError
from device.settings.address import safe, shown
from device.settings.sections import CameraConfig

TIMEOUT_SHARE = 0.95
TEAR_DOWN_S = 0.5
"""Time for a server to finish one connection before the next."""
LOW_LATENCY = {
    "flags": "low_delay",
    # Probing a stream must not wait for more data than a camera sends in a moment.
    "probesize": "500000",
    "analyzeduration": "500000",
}


@dataclass(frozen=True)
class VideoFile(FrameSource):
    """Every frame of a video file, in order."""

    path: Path

    def frames(self) -> Iterator[Frame]:
        """Yield every frame; a damaged one as a frame with an error.

        Raises:
            SourceError: if PyAV is missing or the file is not a readable video.
        """
        av = pyav()
        try:
            with av.open(str(self.path)) as container:
                context = _context(container, strict=True)
                packets = container.demux(container.streams.video[0])
                choices = (Choice(packet, time.monotonic(), 0.0) for packet in packets)
                yield from Decoder(av, context, str(self.path), is_film=True).frames(choices)
        except IndexError as error:
            raise SourceError(f"{self.path}: no video in it") from error
        except av.FFmpegError as error:
            raise SourceError(f"{self.path}: not a readable video ({error})") from error


@dataclass(frozen=True)
class NetworkStream(FrameSource):
    """A camera on the network: RTSP, or video over HTTP. `HttpCamera` reads JPEG over HTTP."""

    address: str = field(repr=False)
    config: CameraConfig
    demand: Demand = EVERY_FRAME
    opened: Any = None
    """An object with `read` for the stream's bytes, if a connection exists already."""
    live = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come.

        Raises:
            SourceError: if it cannot be reached, stops sending, or ends.
        """
        if self.address.startswith("rtsp://"):
            yield from self._over_rtsp()
        else:
            # Encrypted RTSP only uses TCP.
            yield from self._over(self.config.open_limit_s)

    def _over(self, limit_s: float, **options: str) -> Iterator[Frame]:
        options = {**LOW_LATENCY, **options}
        return live_frames(
            self.address, self.config, self.demand, options, limit_s=limit_s, opened=self.opened
        )

    def _over_rtsp(self) -> Iterator[Frame]:
        """First TCP, which loses nothing and passes any firewall that passes RTSP; then UDP."""
        # Shorter than the consumer's own limit, so that the reason gets reported.
        limit_s = 0.75 * self.config.open_limit_s
        try:
            # Both over one connection: many servers refuse a new one right after closing one.
            both = {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}
            yield from self._over(limit_s, **both)
        except _NotOpenedError as error:
            if isinstance(error.cause, pyav().ExitError):
                raise error.with_hint(
                    "neither over TCP nor, if it refuses that, over UDP (a firewall?)"
                ) from error
            if error.cause.errno == errno.EPROTONOSUPPORT:
                raise error.with_hint("it takes neither TCP nor UDP") from error
            if error.is_final:
                raise
            tcp = error
        # FFmpeg itself tries the next transport only after the refusal 461.
        time.sleep(TEAR_DOWN_S)
        try:
            yield from self._over(limit_s / 2, rtsp_transport="udp")
        except _NotOpenedError as udp:
            reasons = f"over TCP: {tcp.reason}; over UDP: {udp.reason}"
            raise SourceError(f"{shown(self.address)}: {reasons}") from udp


class _NotOpenedError(SourceError):
    """A stream that gave no data at all."""

    def __init__(self, shown: str, av: Any, cause: Any) -> None:
        """Take FFmpeg's error."""
        self.shown, self.cause, self.reason = shown, cause, _reason(av, cause)
        # It is not there, or refuses us: another transport would not help.
        self.is_final = isinstance(
            cause,
            av.ExitError
            | av.ConnectionRefusedError
            | av.HTTPUnauthorizedError
            | av.HTTPForbiddenError
            | av.HTTPNotFoundError,
        )
        super().__init__(f"{shown}: {self.reason}")

    def with_hint(self, hint: str) -> SourceError:
        """The same error with a hint about its cause."""
        return SourceError(f"{self.shown}: {self.reason}: {hint}")


def live_frames(
    address: str,
    config: CameraConfig,
    demand: Demand,
    options: dict[str, str],
    *,
    kind: str | None = None,
    limit_s: float,
    opened: Any = None,
) -> Iterator[Frame]:
    """Yield the frames of a stream or camera, each as soon as it is complete.

    Args:
        address: what FFmpeg opens.
        config: time limits of the service.
        demand: when the next frame is wanted.
        options: of FFmpeg's demuxer.
        kind: the demuxer; FFmpeg finds it when None.
        limit_s: for opening.
        opened: an open file that gives the bytes, instead of `address`.

    Raises:
        SourceError: if it cannot be opened, or when it ends.
    """
    av, name = pyav(), shown(address)
    strict = address.startswith("http")
    limits_s = (limit_s, config.stall_limit_s)
    with _opened(av, opened or address, name, options, kind, limits_s) as container:
        began = False
        try:
            limit_s = config.stall_limit_s
            for frame in _followed(av, container, name, limit_s, demand, strict=strict):
                began = True
                yield frame
        except IndexError as error:
            raise SourceError(f"{name}: no video in it") from error
        except av.FFmpegError as error:
            if not began:
                raise _NotOpenedError(name, av, error) from error
            fault = StalledError if isinstance(error, av.ExitError) else SourceError
            raise fault(f"{name}: {_reason(av, error)}") from error
    raise SourceError(f"{name}: the stream ended")


def _opened(
    av: Any,
    file: Any,
    name: str,
    options: dict[str, str],
    kind: str | None,
    limits_s: tuple[float, float],
) -> Any:
    try:
        return av.open(file, format=kind, options=options, timeout=limits_s)
    except av.FFmpegError as error:
        raise _NotOpenedError(name, av, error) from error


def _reason(av: Any, error: Any) -> str:
    if isinstance(error, av.ExitError):
        return "it does not answer any more"
    return safe(error.strerror or str(error))


def _followed(
    av: Any, container: Any, name: str, limit_s: float, demand: Demand, *, strict: bool
) -> Iterator[Frame]:
    """Frames of a live container's first video stream, with as little delay as possible."""
    context = _context(container, strict=strict)
    packets = _unstalled(container.demux(container.streams.video[0]), name, limit_s)
    follower = Follower(demand)
    choices = follower.choose(join_slices(av, packets, context.name))
    yield from warn_of_damage(Decoder(av, context, name, follower.wants).frames(choices))


def _context(container: Any, *, strict: bool) -> Any:
    """The decoder of the first video stream.

    Args:
        container: an open PyAV container.
        strict: also refuse frames that the decoder could repair, such as the upper half of a JPEG.
            Not for cameras whose frames are never quite correct.
    """
    context = container.streams.video[0].codec_context
    if strict:
        context.options = {"err_detect": "explode"}
    return context


def _unstalled(packets: Iterator[Any], name: str, limit_s: float) -> Iterator[Any]:
    """The packets; raises if one took too long: FFmpeg then still returns what it had buffered."""
    while True:
        asked_s = time.monotonic()
        packet = next(packets, None)
        if time.monotonic() - asked_s >= TIMEOUT_SHARE * limit_s:
            raise StalledError(f"{name}: no frame for {limit_s:.3g} s")
        if packet is None:
            return
        yield packet


def pyav() -> Any:
    """The module `av`; raises SourceError if it is missing."""
    try:
        import av
    except ImportError as error:
        raise SourceError(
            "video files, V4L2, RTSP, and CSI cameras before the Pi 5 need PyAV: pip install av "
            "(the package's `video` extra)"
        ) from error
    return av
