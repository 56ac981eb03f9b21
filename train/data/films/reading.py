"""The pictures of a film with their times, upright, through PyAV."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from device.contract.arrays import Pixels
from device.contract.orientation import Matrix, Orientation, upright
from device.contract.photos import MAX_FRAME_PIXELS, MAX_PHOTO_PIXELS
from device.errors import PhotoError, one_line

LOCAL = {"protocol_whitelist": "file"}
"""A play list under a film's name must not make us fetch anything."""
STALL_S = 60.0
"""A drive that gives nothing for so long is not waited for."""
MOST_KEPT_BYTES = 512 * 2**20
"""A film's pictures are kept in memory for another reading up to so much: decoding costs most."""
FREE_RUNNING_FPS = 25
"""Of films that say neither when a picture is shown nor how many there are in a second."""


@dataclass(frozen=True)
class Shot:
    """One picture of a film."""

    at_ms: int
    """Since its first one."""
    pixels: Pixels
    """uint8 (h, w, 3), upright."""


class Reader:
    """Reads one film, as often as it is asked to."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path
        self.damaged = 0
        """Pictures that could not be decoded when the film was last read."""
        self._step_ms: int | None = None
        self._kept: tuple[Shot, ...] = ()
        """All that a reading with this step gave, if it was little enough."""

    def shots(self, step_ms: int) -> Iterator[Shot]:
        """Pictures of the film, one in `step_ms` at most; damaged ones are left out.

        Raises:
            PhotoError: if it is no film, or no picture of it can be decoded.
        """
        if step_ms == self._step_ms:
            yield from self._kept
            return
        kept, left_bytes = list[Shot](), MOST_KEPT_BYTES
        for shot in self._read(step_ms):
            left_bytes -= shot.pixels.nbytes
            if left_bytes >= 0:
                kept.append(shot)
            else:
                kept.clear()
            yield shot
        if left_bytes >= 0:
            self._step_ms, self._kept = step_ms, tuple(kept)

    def _read(self, step_ms: int) -> Iterator[Shot]:
        self.damaged, clock, due_ms = 0, _Clock(), 0
        orientation = Orientation()
        try:
            for picture, rate in self._pictures():
                at_ms, matrix = clock.at_ms(picture, rate), orientation.see(picture)
                if at_ms >= due_ms:
                    due_ms = at_ms + step_ms
                    yield Shot(at_ms, _pixels(picture, matrix))
        except (av.FFmpegError, OSError) as error:
            # What a recording that was cut short holds is as good as any film.
            self.damaged += 1
            if clock.count == 0:
                raise PhotoError(f"not a readable film: {_reason(error)}") from error
        if clock.count == 0:
            raise PhotoError("a film of which no picture can be decoded: damaged, or encrypted")

    def _pictures(self) -> Iterator[tuple[Any, float]]:
        """The decoded pictures, and how many there are in a second as the film says."""
        if self._path.stat().st_size == 0:
            raise PhotoError("the file is empty")
        with av.open(
            str(self._path), options=LOCAL, metadata_errors="ignore", timeout=STALL_S
        ) as container:
            stream = _video(container)
            # Like the device, which refuses pictures that the decoder had to make up.
            stream.codec_context.options = {"err_detect": "explode"}
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or FREE_RUNNING_FPS)
            for packet in container.demux(stream):
                yield from ((picture, rate) for picture in self._decoded(packet))

    def _decoded(self, packet: Any) -> list[Any]:
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            self.damaged += 1
            return []
        whole = [picture for picture in pictures if not picture.is_corrupt]
        self.damaged += len(pictures) - len(whole)
        return whole


class _Clock:
    """Times that never go back, also where a film has none."""

    def __init__(self) -> None:
        self.count = 0
        self._first_s = 0.0
        self._last_ms = 0

    def at_ms(self, picture: Any, rate: float) -> int:
        shown_s = self.count / rate if picture.time is None else float(picture.time)
        if self.count == 0:
            self._first_s = shown_s
        self.count += 1
        self._last_ms = max(self._last_ms, round(1000 * (shown_s - self._first_s)))
        return self._last_ms


def _video(container: Any) -> Any:
    """The first stream of pictures that is no cover of a record."""
    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover and stream.codec_context is not None:
            return stream
    raise PhotoError("a film without pictures: sound alone, or in a format that is not known")


def _pixels(picture: Any, matrix: Matrix) -> Pixels:
    """A decoded picture as R, G, B, upright; made smaller above `MAX_FRAME_PIXELS`, as on boards.

    Raises:
        PhotoError: if it is too large.
    """
    width, height = picture.width, picture.height
    if width * height > MAX_PHOTO_PIXELS:
        raise PhotoError(f"{width}x{height} pixels are more than {MAX_PHOTO_PIXELS:,}")
    while width * height > MAX_FRAME_PIXELS:
        width, height = width // 2, height // 2
    if width != picture.width:
        picture = picture.reformat(width=width, height=height, format="rgb24")
    return upright(picture.to_ndarray(format="rgb24"), matrix)


def _reason(error: BaseException) -> str:
    """FFmpeg's word without the path, which the line names already."""
    return getattr(error, "strerror", None) or one_line(error)
