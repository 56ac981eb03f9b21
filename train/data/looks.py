"""What photos look like in small: thumbnails and details, of very many photos in a file.

In memory they would take 4 kB a photo. The file lies in the build folder, has no name, and is gone
with the process. Photos hold their number in it, and whoever compares photos reads them in blocks.
"""

import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from train.filed import Filed, Growing

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

THUMBNAIL_PX = 16
DETAIL_PX = 32
BLOCK = 1024


class Look(Protocol):
    """A picture in small."""

    @property
    def thumbnail(self) -> Floats:
        """Float32 (768,), as of `normalised`."""

    @property
    def detail(self) -> Bytes | None:
        """Uint8 (32, 32, 3), or None if there is none: then no edited copies are searched for."""


@dataclass(frozen=True)
class Vector:
    """A look that is given as it is."""

    thumbnail: Floats
    detail: Bytes | None = None


@dataclass(frozen=True)
class Small:
    """A look in memory."""

    pixels: Bytes
    """uint8 (16, 16, 3)."""
    detail: Bytes
    """uint8 (32, 32, 3)."""

    @classmethod
    def of(cls, image: Image.Image) -> "Small":
        """Of a picture of any size."""
        return cls(_boxed(image, THUMBNAIL_PX), _boxed(image, DETAIL_PX))

    @property
    def thumbnail(self) -> Floats:
        """As of `normalised`."""
        return np.asarray(normalised(self.pixels[None])[0])


def _boxed(image: Image.Image, px: int) -> Bytes:
    # Pillow's reduce runs first: a triangle filter on 12 megapixels would take 20 times as long.
    return np.asarray(image.resize((px, px), Image.Resampling.BOX, reducing_gap=2.0))


def normalised(pixels: Bytes) -> Floats:
    """Tiny versions of pictures, for comparison.

    Args:
        pixels: uint8 (n, 16, 16, 3).

    Returns:
        float32 (n, 768): each colour channel without its mean, all three together of length 1.
        The dot product of two rows is their correlation. Recompression, resizing and small
        changes of light keep it near 1. A flat colour gives zeros, similar to nothing.
    """
    values = pixels.astype(np.float32)
    # Each channel's mean is removed: different yellow flowers share a colour, not the picture.
    values = (values - values.mean(axis=(1, 2), keepdims=True)).reshape(len(pixels), -1)
    # Row by row, so that the length of a picture does not depend on its block.
    lengths = np.sqrt(np.vecdot(values, values))[:, None]
    flat = lengths <= 1e-3
    unit: Floats = np.where(flat, np.float32(0), values / np.where(flat, np.float32(1), lengths))
    return unit


@dataclass
class Looks:
    """A file of looks, to which more are added."""

    folder: Path
    count: int = 0
    _files: list[IO[bytes]] = field(default_factory=list)

    def keep(self, look: Small) -> "Kept":
        """Write a look down.

        Raises:
            OSError: if it cannot be written.
        """
        if not self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            for _ in range(2):
                # Open as long as anybody needs them, and without a name that could stay behind.
                self._files.append(tempfile.TemporaryFile(dir=self.folder))  # noqa: SIM115
        try:
            for file, pixels in zip(self._files, (look.pixels, look.detail), strict=True):
                file.write(pixels.tobytes())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.folder)) from error
        self.count += 1
        return Kept(self, self.count - 1)

    def pixels(self, numbers: Any) -> Bytes:
        """Those of some looks, uint8 (m, 16, 16, 3)."""
        return self._read(0, THUMBNAIL_PX, numbers)

    def details(self, numbers: Any) -> Bytes:
        """Those of some looks, uint8 (m, 32, 32, 3)."""
        return self._read(1, DETAIL_PX, numbers)

    def _read(self, which: int, px: int, numbers: Any) -> Bytes:
        file = self._files[which]
        file.flush()
        table = Filed(file, (self.count, px, px, 3), np.uint8, self.folder)
        if np.ndim(numbers) or isinstance(numbers, slice):
            return table[numbers]
        return np.asarray(table[slice(numbers, numbers + 1)][0])


@dataclass(frozen=True, slots=True)
class Kept:
    """A look in a file."""

    looks: Looks
    number: int

    @property
    def thumbnail(self) -> Floats:
        """As of `normalised`."""
        return np.asarray(normalised(self.looks.pixels(slice(self.number, self.number + 1)))[0])

    @property
    def detail(self) -> Bytes:
        """uint8 (32, 32, 3)."""
        return self.looks.details(self.number)


@dataclass(frozen=True)
class Thumbnails:
    """Thumbnails of kept looks, read when they are asked for."""

    looks: Looks
    numbers: Numbers
    """(n,), of the looks; -1: like nothing, whatever it shows."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any, /) -> Floats:
        """Float32 (m, 768)."""
        numbers = self.numbers[rows]
        found = normalised(self.looks.pixels(np.maximum(numbers, 0)))
        found[numbers < 0] = 0
        return found

    def chosen(self, rows: Numbers) -> "Thumbnails":
        """Those of some rows, not read yet."""
        return Thumbnails(self.looks, self.numbers[rows])

    def without(self, hidden: npt.NDArray[np.bool_]) -> "Thumbnails":
        """The same, but some are like nothing."""
        return Thumbnails(self.looks, np.where(hidden, -1, self.numbers))


@dataclass(frozen=True)
class KeptDetails:
    """Details of kept looks, read when they are asked for."""

    looks: Looks
    numbers: Numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any, /) -> Bytes:
        """uint8 (m, 32, 32, 3), or (32, 32, 3) of one row."""
        return self.looks.details(self.numbers[rows])


Details = Bytes | KeptDetails
AnyThumbnails = Floats | Thumbnails


def chosen(thumbnails: AnyThumbnails, rows: Numbers) -> AnyThumbnails:
    """Those of some rows; not read yet if they are in a file."""
    return thumbnails.chosen(rows) if isinstance(thumbnails, Thumbnails) else thumbnails[rows]


def folder_of(looks: object) -> Path | None:
    """The folder of the file that thumbnails or details are in; None if they are in memory."""
    return looks.looks.folder if isinstance(looks, Thumbnails | KeptDetails) else None


def kept_of(looks: Iterable[Look | None]) -> tuple[Looks, Numbers] | None:
    """The file that all looks are in, and their numbers; None if one is not."""
    numbers, file = array("i"), None
    for look in looks:
        if not isinstance(look, Kept) or (file is not None and look.looks is not file):
            return None
        file = look.looks
        numbers.append(look.number)
    return None if file is None else (file, np.array(numbers))


class KeptLooks:
    """A column (`train.columns`) of looks in one file, or None: the number of each."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._numbers = folder, Growing(folder, np.int32)
        self._looks: Looks | None = None

    def add(self, values: Sequence[Kept | None]) -> None:
        """As `Column`."""
        self._looks = next((look.looks for look in reversed(values) if look), self._looks)
        self._numbers.append(np.array([look.number if look else -1 for look in values]))

    def values(self, rows: slice | Numbers) -> list[Kept | None]:
        """As `Column`."""
        looks, numbers = self._looks, self._numbers[rows].tolist()
        return [Kept(looks, i) if looks and i >= 0 else None for i in numbers]


def blocks(count: int) -> Iterator[slice]:
    """Rows in blocks."""
    for start in range(0, count, BLOCK):
        yield slice(start, start + BLOCK)


def digests(details: Details) -> Numbers:
    """A number for what each photo shows, by which photos are put into an order."""
    found = (zlib.crc32(each.tobytes()) for part in blocks(len(details)) for each in details[part])
    return np.fromiter(found, np.int64, len(details))
