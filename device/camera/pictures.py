"""From a video's packets to upright pictures, through PyAV."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from device.camera.follow import MAX_FRAMES_BEFORE_KEY, Choice
from device.camera.frame import Frame
from device.contract.arrays import Pixels
from device.contract.orientation import Orientation, upright
from device.contract.photos import MAX_FRAME_PIXELS
from device.errors import SourceError

log = logging.getLogger("fieldguide")

CUT_CODECS: dict[str, Callable[[int], bool]] = {
    "h264": lambda head: head & 0x1F in (7, 8),
    "hevc": lambda head: (head >> 1) & 0x3F in (32, 33, 34),
}
"""Codecs whose streams FFmpeg itself cuts into pictures, and for each: whether a head byte begins
parameters."""
START_CODE = b"\0\0\0\1"
MAX_STREAM_PIXELS = 2 * MAX_FRAME_PIXELS
"""Size limit of a video's frame: its decoder keeps several."""
FEW_DAMAGED = 10
MANY_DAMAGED = 0.02
"""From this share on, the number of damaged frames is logged."""


def join_slices(av: Any, packets: Iterable[Any], codec: str) -> Iterator[Any]:
    """Packets that each hold one whole picture.

    If an encoder repeats its parameters before each slice of a picture, FFmpeg takes each slice for
    a separate picture and shows the rest of it grey. Slices of one picture have the same timestamp,
    so they can be joined again; finding the last slice costs a delay of one frame.
    """
    if codec not in CUT_CODECS:
        yield from packets
        return
    pieces: list[Any] = []
    last, cut, waits = None, False, True
    for packet in packets:
        if last is not None and _same_picture(last, packet, CUT_CODECS[codec]):
            if not cut:
                log.info(
                    "camera: key frames come in pieces and are put together, one frame later "
                    "(GStreamer: rtph264pay config-interval=1 instead of -1 saves that)"
                )
            cut = waits = True
        elif pieces:
            yield _joined(av, pieces)
            # The first key frame came in one piece: this encoder does not cut pictures.
            waits = cut or not pieces[0].is_keyframe
            pieces = []
        last = packet
        pieces.append(packet)
        if not waits or not packet.size:
            yield pieces.pop()
    if pieces:
        yield _joined(av, pieces)


def _same_picture(before: Any, packet: Any, are_parameters: Callable[[int], bool]) -> bool:
    # FFmpeg does not know the timestamp of a stream's very first packet.
    first = before.dts is None and before.is_keyframe and packet.is_keyframe
    same_time = first or (before.dts, before.pts) == (packet.dts, packet.pts)
    if packet.dts is None or not packet.size or not same_time:
        return False
    start, head = bytes(memoryview(packet)[:4]), bytes(memoryview(packet)[4:5])
    return start == START_CODE and bool(head) and are_parameters(head[0])


def _joined(av: Any, pieces: list[Any]) -> Any:
    last = pieces[-1]
    if len(pieces) == 1:
        return last
    packet = av.Packet(b"".join(bytes(piece) for piece in pieces))
    packet.pts, packet.dts, packet.time_base = last.pts, last.dts, last.time_base
    packet.is_keyframe = pieces[0].is_keyframe
    return packet


class FilmClock:
    """One clock for a film's frames: files may leave out times, or begin again in the middle."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._last_s: float | None = None

    def at(self, time_s: float | None) -> float | None:
        """When the next frame is shown, never before the last; None while there are no times.

        Args:
            time_s: what the file says.
        """
        if time_s is None:
            return self._last_s
        if self._last_s is not None:
            self._offset_s = max(self._offset_s, self._last_s - time_s)
        self._last_s = time_s + self._offset_s
        return self._last_s


class Decoder:
    """Decodes a video's packets to frames; a corrupt packet costs only its own frame."""

    def __init__(
        self,
        av: Any,
        context: Any,
        name: str,
        wants: Callable[[Choice], bool] = lambda _: True,
        *,
        is_film: bool = False,
    ) -> None:
        """Begin a video file or stream.

        Args:
            av: the PyAV module.
            context: the codec context.
            name: of the source, for naming frames.
            wants: asked before a decoded picture is turned into RGB.
            is_film: whether its own times count, and not when frames are decoded.
        """
        self._av, self._context, self._name, self._wants = av, context, name, wants
        self._number = self._before_key = 0
        self._is_film, self._clock = is_film, FilmClock()
        self._started, self._orientation = False, Orientation()

    def frames(self, choices: Iterable[Choice]) -> Iterator[Frame]:
        """A frame for each picture, and for each skipped packet.

        The next packet is requested only when all frames of the one before have been taken.
        """
        for choice in choices:
            if choice.packet is None:
                yield self._frame(choice, passed=choice.passed)
                continue
            if choice.fresh:
                self._context.flush_buffers()
            try:
                yield from self._decoded(choice)
            except self._av.InvalidDataError as error:
                yield self._frame(choice, f"damaged frame: {error.strerror}")

    def _decoded(self, choice: Choice) -> Iterator[Frame]:
        started_s = time.perf_counter()
        for picture in self._context.decode(choice.packet):
            if self._is_early(picture):
                continue
            matrix = self._orientation.see(picture)
            if picture.is_corrupt:
                yield self._frame(choice, "damaged frame")
            elif self._wants(choice):
                pixels = upright(_pixels(picture, self._name), matrix)
                decode_s = time.perf_counter() - started_s
                film_s = self._clock.at(picture.time) if self._is_film else None
                frame = self._frame(choice)
                yield replace(frame, given=pixels, decode_s=decode_s, film_s=film_s)
            else:
                yield self._frame(choice, passed=1)
            started_s = time.perf_counter()

    def _is_early(self, picture: Any) -> bool:
        """Before the first key frame of a stream joined midway: such pictures would be grey."""
        self._before_key += 1
        self._started = (
            self._started or picture.key_frame or self._before_key > MAX_FRAMES_BEFORE_KEY
        )
        return not self._started

    def _frame(self, choice: Choice, error: str = "", *, passed: int | None = None) -> Frame:
        self._number += 1 if passed is None else passed
        return Frame(
            f"{self._name}#{self._number - 1}",
            None,
            error,
            captured_s=choice.arrived_s - choice.lag_s,
            outdated=passed or 0,
            lag_s=choice.lag_s,
        )


def _pixels(frame: Any, name: str) -> Pixels:
    """A decoded frame as R, G, B; at half size above `MAX_FRAME_PIXELS`.

    Raises:
        SourceError: if it is so large that the decoder, which keeps several, would fill the memory.
    """
    width, height = frame.width, frame.height
    if width * height > MAX_STREAM_PIXELS:
        size = f"{width}x{height} pixels are more than {MAX_STREAM_PIXELS:,}"
        raise SourceError(f"{name}: {size}: choose a smaller stream of the camera")
    if width * height > MAX_FRAME_PIXELS:
        frame = frame.reformat(width=width // 2, height=height // 2, format="rgb24")
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    return pixels


def warn_of_damage(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same frames; logs once if many of a stream's are damaged, and what may help."""
    damaged, told = 0, False
    for total, frame in enumerate(frames, start=1):
        damaged += bool(frame.error)
        if not told and damaged >= max(FEW_DAMAGED, MANY_DAMAGED * total):
            told = True
            log.warning(
                "camera: %d of %d frames are damaged and left out: packets get lost on the way "
                "(a cable, a lower bit rate or TCP instead of UDP helps), or the encoder does "
                "something that FFmpeg cannot read (GStreamer: rtph264pay config-interval=1)",
                damaged,
                total,
            )
        yield frame
