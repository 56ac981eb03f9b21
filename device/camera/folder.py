"""The photos of a folder as frames."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device.camera.frame import Frame, FrameSource
from device.contract.arrays import Pixels
from device.contract.folders import photos_below
from device.contract.formats import PHOTO_SUFFIXES
from device.contract.photos import decode, decode_frame, pixels, read_photo
from device.contract.preprocess import Preprocessing
from device.errors import PhotoError, SourceError


@dataclass(frozen=True)
class FolderSource(FrameSource):
    """The photos of a folder, by name, once."""

    folder: Path
    preprocessing: Preprocessing
    max_pixels: int | None = None
    """As `decode` takes it."""
    full_size: bool = False
    """Whether JPEGs are decoded at their full size, because a small part may be classified."""
    one_place = False

    def frames(self) -> Iterator[Frame]:
        """Yield one frame per photo; what cannot be read gives a frame with an error.

        These are damaged photos and, at the end, the subfolders that may not be read.
        """
        closed: list[OSError] = []
        for path in photos_below(self.folder, on_unreadable=closed.append):
            yield self._frame(path)
        for error in closed:
            yield Frame(str(error.filename), None, error.strerror or str(error), time.monotonic())

    def _frame(self, path: Path) -> Frame:
        started_s = time.perf_counter()
        picture, problem = None, ""
        try:
            picture = self._decoded(read_photo(path))
        except PhotoError as error:
            problem = str(error)
        decode_s = time.perf_counter() - started_s
        return Frame(str(path), picture, problem, time.monotonic(), decode_s)

    def _decoded(self, data: bytes) -> Pixels:
        if self.full_size:
            return decode_frame(data)
        return pixels(decode(data, self.preprocessing, max_pixels=self.max_pixels))


def check_photos(folder: Path) -> None:
    """Raise SourceError if a folder has no photo, or may not be read."""
    closed: list[OSError] = []
    if next(photos_below(folder, on_unreadable=closed.append), None) is not None:
        return
    if closed:
        raise SourceError(f"{closed[0].filename}: {closed[0].strerror}")
    raise SourceError(f"{folder}: no photos in this folder ({_suffixes()})")


def _suffixes() -> str:
    return ", ".join(sorted(PHOTO_SUFFIXES))
