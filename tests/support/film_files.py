"""Films as files: what `tests.support.films` renders, written by PyAV."""

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from device.contract.arrays import Pixels
from device.contract.orientation import Matrix
from tests.support.films import Film, shots

ONE = 1 << 16
MATRICES: dict[str, tuple[Matrix, Callable[[Pixels], Any]]] = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "right": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "down": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "left": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "flipped": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    "transversed": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).swapaxes(0, 1)),
}
"""What a player makes of the pixels: x' = a x + c y, y' = b x + d y."""


def write_film(path: Path, film: Film, codec: str = "mpeg4") -> Path:
    """A rendered film as a file; the suffix of `path` says in which container."""
    return write_pictures(path, (shot.pixels for shot in shots(film)), codec, film.fps)


def write_pictures(
    path: Path, pictures: Iterable[Pixels], codec: str = "mpeg4", fps: float = 2.0
) -> Path:
    """Pictures of one size, uint8 (h, w, 3), as a film."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        for pixels in pictures:
            if not stream.codec_context.is_open:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def turn(path: Path, numbers: Matrix) -> Path:
    """Give an MP4 file a display matrix, as a telephone writes it."""
    data = bytearray(path.read_bytes())
    # Version 0 of the track's header: the matrix.
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (number * ONE for number in numbers)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
