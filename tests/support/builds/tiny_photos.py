"""The photos of the tiny data set: seeded pictures of three classes, in three parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.pictures import LABELS, encoded, picture

PHOTOS_PER_CLASS = {"train": 8, "val": 1, "test": 4}


@dataclass(frozen=True)
class TinyPhoto:
    """One photo of the tiny data set."""

    path: str
    """Relative to the data folder."""
    label: int
    """Index into `LABELS`."""
    content: bytes


def photos_of(part: str) -> Iterator[TinyPhoto]:
    """The photos of train, val or test, class after class."""
    for label, name in enumerate(LABELS):
        for index in range(PHOTOS_PER_CLASS[part]):
            pixels = picture(label, 100 * len(part) + index)
            yield TinyPhoto(f"{name}/{part}_{index}.png", label, encoded(pixels))


def write(photo: TinyPhoto, folder: Path) -> Path:
    """Write a photo below the data folder; returns its path."""
    path = folder / photo.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo.content)
    return path
